"""The papers behind the methods: read, told apart, and those of this repository complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.papers import papers_of, read_papers
from ltbench.registry.discovery import load_registry

FILE = Path(__file__).resolve().parents[2] / "leaderboards" / "papers.toml"
ENTRY = '[[paper]]\nauthors = "A, 2020"\ntitle = "On A"\nlink = "https://example.org/a"\nmethods = ["a", "b"]\n'


def test_papers_of_some_methods(tmp_path: Path) -> None:
    file = tmp_path / "papers.toml"
    file.write_text(ENTRY + ENTRY.replace('["a", "b"]', '["c"]'), encoding="utf-8")
    papers = read_papers(file)
    assert [paper["methods"] for paper in papers_of(papers, {"b", "x"})] == [["a", "b"]]
    assert read_papers(tmp_path / "none.toml") == []


@pytest.mark.parametrize(("text", "said"), [
    ("paper = 1", r"must hold \[\[paper\]\] entries alone"),
    ("[[paper]]\n", "paper 1 of .* must hold authors, link, methods, title"),
    (ENTRY.replace("https://", "javascript:"), "link of paper 1 of .* must start with https://"),
    (ENTRY.replace('["a", "b"]', "[]"), "must hold texts, and methods"),
    ("= =", "cannot be read"),
])
def test_what_is_not_as_it_should_be_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "papers.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_papers(tmp_path / "papers.toml")


def test_every_built_in_method_that_names_a_paper_has_its_title_and_address() -> None:
    known = {method: paper for paper in read_papers(FILE) for method in paper.methods}
    named = {method.spec.name: method.spec.paper for method in load_registry().methods.values() if method.spec.paper}
    missing = sorted(set(named) - set(known))
    assert not missing, f"leaderboards/papers.toml lacks {', '.join(missing)}"
    assert {method: paper.authors for method, paper in known.items()} == named
