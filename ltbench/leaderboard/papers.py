"""The papers that methods are from, with title and address: ``leaderboards/papers.toml``, beside the boards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.toml_file import read_toml

FILE = "papers.toml"
_FIELDS = {"authors", "title", "link", "methods"}


@dataclass(frozen=True)
class Paper:
    """Hold a paper.

    Args:
        authors: With the year, as the methods' listings name it.
        link: Where it is read; empty where it is not public.
        methods: Names of the methods that are from it.
    """

    authors: str
    title: str
    link: str
    methods: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"authors": self.authors, "title": self.title, "link": self.link, "methods": list(self.methods)}


def read_papers(file: Path) -> list[Paper]:
    """Read papers; none where there is no such file, for a board of one's own needs none.

    Raises:
        UserError: If it cannot be read or an entry is not as it should be, naming it.
    """
    content = read_toml(file)
    if content is None:
        return []
    entries = content.get("paper")
    if set(content) != {"paper"} or not isinstance(entries, list):
        raise UserError(f"{str(file)!r} must hold [[paper]] entries alone")
    return [_paper(entry, f"paper {number} of {str(file)!r}") for number, entry in enumerate(entries, start=1)]


def papers_of(papers: Iterable[Paper], methods: Iterable[str]) -> list[dict[str, Any]]:
    """Return the papers of some methods as JSON types, in the order of the file."""
    names = set(methods)
    return [paper.as_dict() for paper in papers if names & set(paper.methods)]


def _paper(entry: Any, where: str) -> Paper:
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise UserError(f"{where} must hold {', '.join(sorted(_FIELDS))}, got {entry!r}")
    texts = [entry[name] for name in ("authors", "title", "link")]
    methods = entry["methods"]
    if not (all(isinstance(text, str) for text in texts) and isinstance(methods, list) and methods
            and all(isinstance(name, str) for name in methods)):
        raise UserError(f"{where} must hold texts, and methods as a list of texts")
    if not (texts[2] == "" or texts[2].startswith("https://")):
        raise UserError(f"link of {where} must start with https:// or be empty, got {texts[2]!r}")
    return Paper(texts[0], texts[1], texts[2], tuple(methods))
