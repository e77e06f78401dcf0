"""The page that says which methods to compare with, whose lists are generated and kept in the repository."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ltbench.registry.discovery import load_registry
from ltbench.registry.specs import KINDS, MethodSpec
from tests.support.blocks import ROOT


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    """Load tools/comparing_page.py, which is no package."""
    spec = importlib.util.spec_from_file_location("comparing_page", ROOT / "tools" / "comparing_page.py")
    assert spec is not None and spec.loader is not None
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "comparing_page", module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


@pytest.mark.slow
def test_it_is_what_the_methods_and_the_boards_say(tool: ModuleType) -> None:
    text = Path(tool.PAGE).read_text(encoding="utf-8")
    assert tool.page(text) == text, "run: python tools/comparing_page.py"


def test_every_family_has_a_title(tool: ModuleType) -> None:
    assert set(tool.FAMILIES) == {*KINDS, ""}


def test_what_cross_entropy_takes(tool: ModuleType) -> None:
    """A linear layer of 64 x 100 on ResNet-32: 100 more biases, 12,800 operations an image."""
    own = tool.Counter(load_registry()).count("ce")
    forward = 137_736_704  # as records of ce on the board have it, classifier included
    first_layer = 2 * 32 * 32 * 3 * 16 * 9  # the first convolution hands no gradient to the image
    assert (own.views, own.streams, own.kept, own.held, own.prediction) == (1, 1, 470_004, 470_004, forward)
    assert own.steps == (3 * forward - first_layer,) * 2


def test_a_year_is_the_papers(tool: ModuleType) -> None:
    def of(paper: str) -> str:
        return str(tool.year(MethodSpec("x", "a:B", "", frozenset({1}), paper)))
    assert (of("Cao et al., 2019"), of("Learned NCM (anonymous submission)"), of("")) == ("2019", "—", "—")


def test_costs_are_those_of_records(tool: ModuleType) -> None:
    def row(method: str, relative: float | None) -> dict[str, object]:
        return {"method": method, "cost": None if relative is None else {"relative": relative}}
    both = {"name": "a", "tables": [{"rows": [row("ce", None), row("x", 9.0)]}, {"rows": [row("ce", 2.0), row("ce/x", 3.0)]}]}
    alone = {"name": "b", "tables": [{"rows": [row("x", 3.0)]}]}
    assert tool.on_boards("x", [both, alone]) == "1.50 (a)" and tool.on_boards("y", [both, alone]) == "—"


def test_a_little_is_not_nothing(tool: ModuleType) -> None:
    assert [tool.times(value, 1000.0) for value in (0, 1, 5, 2500)] == ["0.00", "< 0.01", "0.01", "2.50"]
