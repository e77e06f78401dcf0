"""The page that says which methods to compare with, whose lists are generated and kept in the repository."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from ltbench.leaderboard.board import find_boards
from ltbench.registry.discovery import load_registry
from ltbench.registry.specs import KINDS, MethodSpec
from tests.support.blocks import ROOT

PAGE = ROOT / "docs" / "comparing.md"
FORWARD = 137_736_704  # of ce on ResNet-32, as records on the board have it, classifier included
FIRST_LAYER = 2 * 32 * 32 * 3 * 16 * 9  # the first convolution hands no gradient to an image


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
    text = PAGE.read_text(encoding="utf-8")
    assert tool.page(text) == text, "run: python tools/comparing_page.py"


def test_every_family_has_a_title(tool: ModuleType) -> None:
    assert set(tool.FAMILIES) == {*KINDS, ""}


def test_it_can_be_read() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "Error" not in text and max(map(len, text.splitlines())) <= 145


def test_what_cross_entropy_takes(tool: ModuleType) -> None:
    """A linear layer of 64 x 100 on ResNet-32: 100 more biases, 12,800 operations an image."""
    own = tool.Counter(load_registry()).count("ce")
    assert (own.views, own.streams, own.kept, own.own, own.buffers, own.prediction) == (1, 1, 470_004, 0, 0, FORWARD)
    assert own.steps == (3 * FORWARD - FIRST_LAYER,) * 2


def test_what_asks_for_gradients_of_images_is_counted(tool: ModuleType) -> None:
    """In the last epoch ten times forward through two networks and back to the image, and once through one of them to look."""
    plain = 3 * FORWARD - FIRST_LAYER
    assert tool.Counter(load_registry()).count("m2m").steps == (plain, plain + 10 * 4 * FORWARD + FORWARD)


@pytest.mark.parametrize(("method", "own", "buffers"), [
    ("center_loss", 4 * 100 * 64, 0), ("lfme_experts", 0, 3 * 100),  # shared by method and head, one byte each
    ("dnc", 0, 4 * 100 * 4 * 64 + (4 * 64 + 8) * 4096),  # centroids, and a memory of features and of their classes
])
def test_what_is_held_beside_the_network(tool: ModuleType, method: str, own: int, buffers: int) -> None:
    counted = tool.Counter(load_registry()).count(method)
    assert (counted.own, counted.buffers) == (own, buffers)


def test_a_year_is_the_papers(tool: ModuleType) -> None:
    def of(paper: str) -> str:
        return str(tool.year(MethodSpec("x", "a:B", "", frozenset({1}), paper)))
    assert (of("Cao et al., 2019"), of("Learned NCM (anonymous submission)"), of("")) == ("2019", "—", "—")


def row(method: str, relative: float | None = 1.0) -> dict[str, object]:
    return {"method": method, "cost": None if relative is None else {"relative": relative}}


@pytest.mark.parametrize(("method", "rows", "expected"), [
    ("crt", ["iccl/crt", "ce/crt", "ce/crt(x=1)"], "ce/crt"), ("eql", ["eql(threshold=0.05)"], "eql(threshold=0.05)"),
    ("mislas", ["mixup", "mixup/mislas"], "mixup/mislas"), ("multi_ncm", ["ce/lncm/multi_ncm_la", "ce/lncm/multi_ncm"],
                                                            "ce/lncm/multi_ncm"),
    ("la", ["ce/la", "la"], "la"), ("nc", ["drw+nc", "ce/nc/crt"], None), ("file", ["file(name=a/b) #c"], "file(name=a/b) #c"),
])
def test_a_methods_row_ends_with_it_alone(tool: ModuleType, method: str, rows: list[str], expected: str | None) -> None:
    found = tool.row_of(method, {"rows": [row(name) for name in rows]})
    assert (found["method"] if found else None) == expected


def test_costs_are_those_of_records(tool: ModuleType) -> None:
    assert tool.predicting(row("ce/x", 3.0), row("ce", 2.0)) == "1.50"
    assert tool.predicting(None, row("ce")) == tool.predicting(row("x", None), row("ce")) == "—"


@pytest.mark.parametrize(("row", "said"), [
    (["x", "1.426", "1.274", "1.589"], "1.4 (1.3 to 1.6)"), (["x", "1.02", "0.97", "1.04"], "1.0"),
    (["x", "0.002", "0.001", "0.002"], "< 0.05"), (None, "—"),
])
def test_a_measured_step_time_has_its_range(tool: ModuleType, row: list[str] | None, said: str) -> None:
    assert tool.measured(row) == said


def test_steps_are_timed_in_turns(tool: ModuleType) -> None:
    turns: list[str] = []
    own, plain = iter([3.0, 8.0, 1.0, 2.0, 5.0]), iter([2.0, 2.0, 1.0, 4.0, 2.0])
    found = tool.step_times.quotients(lambda: (turns.append("own"), next(own))[1], lambda: (turns.append("ce"), next(plain))[1])
    assert found == [0.5, 1.0, 1.5, 2.5, 4.0] and turns == ["own", "ce"] * 5


def test_a_step_takes_time_where_there_is_one(tool: ModuleType) -> None:
    counter = tool.Counter(load_registry())
    timed = tool.step_times.timer(counter, "proco", 4)
    assert timed is not None and timed() > 0
    assert tool.step_times.timer(counter, "ncm", 4) is None


def test_all_that_takes_steps_was_measured() -> None:
    assert {name for name, step in cells("step").items() if step != "none"} == set(cells("step time", filled=True))


def test_only_what_needs_a_transformer_has_no_row_on_digits() -> None:
    assert set(cells("on digits")) - set(cells("on digits", filled=True)) == {"adaptformer", "bitfit", "lift", "lora", "vpt"}


def test_records_of_the_counted_network_say_what_was_counted(tool: ModuleType) -> None:
    counted = cells("prediction")
    for board in find_boards(ROOT / "leaderboards"):
        for table in json.loads((board.folder / "board.json").read_text(encoding="utf-8"))["tables"]:
            if (table["dataset"], table["protocol"]["backbone"]) == ("cifar100-lt", "resnet32"):
                noted = {name: tool.predicting(tool.row_of(name, table), tool.row_of("ce", table)) for name in counted}
                assert {name: counted[name] for name, figure in noted.items() if figure != "—"} == {
                    name: figure for name, figure in noted.items() if figure != "—"}


def cells(column: str, *, filled: bool = False) -> dict[str, str]:
    """Return a column of the page's table by method, all of it or what is no dash."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    at = lines[0].index(column)
    return {line[0].strip("`"): line[at] for line in lines[2:] if not filled or line[at] != "—"}


def test_a_little_is_not_nothing(tool: ModuleType) -> None:
    assert [tool.times(value, 1000.0) for value in (0, 1, 5, 2500)] == ["0.00", "< 0.01", "0.01", "2.50"]
