"""Pages of the documentation that are written elsewhere in the repository: README, method cards, contributing, changelog, boards.

A hook of MkDocs (``hooks:`` in mkdocs.yml). Links between files of the repository become links between pages; a link to a file
that is no page keeps its text alone. The boards' own pages are copied as they are, to ``boards/``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# Where a file of the repository stands in the site.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md",
         "plugins/README.md": "methods/index.md"}
PAGES |= {f"plugins/{path.parent.name}/README.md": f"methods/{path.parent.name.removeprefix('ltbench_')}.md"
          for path in sorted((ROOT / "plugins").glob("*/README.md"))}
# The boards' pages, and the files that they link to, are copied as they are.
BOARD_FILES = [path.relative_to(ROOT).as_posix()
               for name in ("index.html", "*/index.html", "*/board.json", "*/board.csv", "*/board.tex")
               for path in sorted((ROOT / "leaderboards").glob(name))]
BOARD_PAGES = {place: f"boards/{place.removeprefix('leaderboards/')}" for place in BOARD_FILES}
BOARD_PAGES |= {place.replace("index.html", "README.md"): page for place, page in BOARD_PAGES.items() if place.count("/") == 2}
_LINK = re.compile(r"(?<!!)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def relinked(text: str, source: str, page: str) -> str:
    """Return a page's Markdown with its links turned from files of the repository to pages of the site.

    Args:
        text: Of the file.
        source: The file, from the root of the repository.
        page: The page, from the root of the site.
    """
    folder = posixpath.dirname(source)

    def turn(match: re.Match[str]) -> str:
        label, target = match.groups()
        path, mark, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match.group(0)
        place = posixpath.normpath(posixpath.join(folder, path))
        found = place.removeprefix("docs/") if place.startswith("docs/") else PAGES.get(place) or BOARD_PAGES.get(place)
        return f"[{label}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{mark}{anchor})" if found else label

    parts, end = [], 0
    for fence in _FENCE.finditer(text):  # code is no text: brackets and parentheses there are no links
        parts += [_LINK.sub(turn, text[end:fence.start()]), fence.group(0)]
        end = fence.end()
    return "".join([*parts, _LINK.sub(turn, text[end:])])


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written elsewhere."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, source, page)))
    for source in BOARD_FILES:
        files.append(File.generated(config, BOARD_PAGES[source], abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of the pages of docs/."""
    where = page.file.src_uri
    return markdown if where in PAGES.values() else relinked(markdown, f"docs/{where}", where)
