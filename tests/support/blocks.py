"""The code blocks of the documentation, with what the pages say about running them.

A comment before a block, which readers do not see, says what is special about it:

- ``<!-- planned: WHY -->``: ``ltbench run`` is only planned (``--dry-run``), other commands are only parsed;
- ``<!-- fails: WHY -->``: the command ends with exit code 2;
- ``<!-- not run: WHY -->``: the block is left alone.

``<!-- planned page: WHY -->`` on a page stands for every block of it that has no comment of its own. A block with a title is a
file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_MARK = r"(?:^<!-- (planned|fails|not run): (?:[^>]+?) -->\n+)?"
_BLOCK = re.compile(_MARK + r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """Hold one block.

    Args:
        title: Name of the file that it is, if any.
        mark: ``planned``, ``fails``, ``not run`` or nothing.
    """

    page: str
    line: int
    language: str
    title: str | None
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one a line, without comments and prompts."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
        if self.language == "console":
            lines = (line.removeprefix("$ ") if line.startswith("$ ") else "" for line in lines)
        return [line for line in lines if line]


def pages() -> list[str]:
    """Return every page of the documentation, from the root of the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*.md"), *ROOT.glob("plugins/*/*.md"),
             *ROOT.glob("examples/*.md"), *ROOT.glob("examples/*/*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    planned = "planned" if re.search(r"^<!-- planned page: [^>]+ -->$", text, re.M) else ""
    return [Block(page, text.count("\n", 0, match.start(2)) + 1, match[2], match[3], match[1] or planned, match[4])
            for match in _BLOCK.finditer(text)]


def without_numbers(text: str) -> str:
    """Return a text with every number, and the spaces and dashes that align tables, made one."""
    plain = re.sub(r"\d+(\.\d+)?", "0", text).replace("(0 to 0)", "± 0")  # which of them there is depends on the numbers
    return re.sub(r"[ -]+", " ", plain)
