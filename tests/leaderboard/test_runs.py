"""Records in a notebook: loaded from folders, shown as tables, drawn, compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

import ltbench
from ltbench.cli.main import main
from tests.support import record_factory


def _folder(folder: Path, **methods: tuple[int, int, int, int]) -> Path:
    """Write a record of each method and of seeds 0, 1 and 2."""
    for seed in (0, 1, 2):
        for name, right in methods.items():
            given = record_factory.predictions(right=right)
            value = record_factory.record(given, expression=name, expression_hash=name, key=f"{name}{seed}", task__seed=seed)
            record_factory.write(value, given, folder, f"{name}_s{seed}")
    return folder


def test_folders_and_files_are_loaded_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path / "runs", ce=(3, 2, 1, 0), la=(3, 3, 3, 3))
    _folder(tmp_path / "other" / "deeper", crt=(1, 1, 1, 1))
    (folder / "broken.json").write_text('{"schema": 1}')
    runs = ltbench.load(folder, str(tmp_path / "other"), folder / "ce_s0.json")
    assert repr(runs) == "Runs(9 completed)"
    assert capsys.readouterr().err.startswith(f"warning: record {folder / 'broken.json'}: ")
    assert [len(found) for found in runs.predictions() if found is not None] == [12] * 9
    assert runs.logits() == [None] * 9
    assert repr(ltbench.load(folder / "la_s1.json")) == "Runs(1 completed)"
    (tmp_path / "empty").mkdir()
    for places, words in (((tmp_path / "empty",), "there must be a record to load, got none in "), ((), "got none in no place"),
                          ((tmp_path / "missing",), "record folder must exist, got ")):
        with pytest.raises(ltbench.UserError, match=words):
            ltbench.load(*places)


def test_a_notebook_shows_the_printed_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path, **{"ce": (3, 2, 1, 0), "<la>": (3, 3, 3, 3)})
    html = ltbench.load(folder)._repr_html_()
    assert main(["leaderboard", str(folder)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert html is not None and f"<h4>{heading.removeprefix('## ')}</h4>" in html
    assert "&lt;la&gt;" in html and "<la>" not in html
    printed = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    for cell in (cell for row in (printed[0], *printed[2:]) for cell in row if "la" not in cell):
        assert cell in html, cell
    assert html.count("<tr>") == 3


def test_pictures_have_a_mark_for_every_figure(tmp_path: Path) -> None:
    runs = ltbench.load(_folder(tmp_path, ce=(3, 2, 1, 0), la=(3, 3, 3, 3)))
    figure = runs.plot()
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["la", "ce"]  # best on top
    drawn = {box.get_label(): box.lines[0].get_xdata().tolist() for box in axes.containers}
    assert drawn == {"all": [100, 50], "many": [100, 100], "medium": [100, 50], "few": [100, 0]}
    (axes,) = runs.plot("tradeoff").axes
    points = {box.get_label(): (box.lines[0].get_xdata()[0], box.lines[0].get_ydata()[0]) for box in axes.containers}
    assert points == {"ce": (100, 0), "la": (100, 100)}
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 1000
    with pytest.raises(ltbench.UserError, match="kind must be accuracy or tradeoff, got 'bars'"):
        runs.plot("bars")


def test_intervals_end_where_accuracies_do(tmp_path: Path) -> None:
    for seed, right in enumerate(((3, 3, 3, 3), (3, 3, 3, 0), (3, 3, 3, 3))):
        given = record_factory.predictions(right=right)
        record_factory.write(record_factory.record(given, key=f"k{seed}", task__seed=seed), given, tmp_path, f"s{seed}")
    (axes,) = ltbench.load(tmp_path).plot().axes
    low, high = (min(x for segment in bars.get_segments() for x, _ in segment) for bars in axes.collections), (
        max(x for segment in bars.get_segments() for x, _ in segment) for bars in axes.collections)
    assert min(low) >= 0 and max(high) <= 100  # few: 66.7 +- 143


def test_a_comparison_is_the_commands(tmp_path: Path) -> None:
    runs = ltbench.load(_folder(tmp_path, ce=(3, 2, 1, 0), la=(3, 3, 3, 3)))
    found = runs.compare("ce", "la").set_index("split")
    assert found["ce"].to_dict() == {"all": 50, "many": 100, "medium": 50, "few": 0}
    assert found["difference"].to_dict() == {"all": 50, "many": 0, "medium": 50, "few": 100}
    assert set(found["seeds"]) == {3} and (found["low"] <= found["difference"]).all()
    with pytest.raises(ltbench.UserError, match="crt"):
        runs.compare("ce", "crt")


def test_contradicting_records_show_the_line_alone(tmp_path: Path) -> None:
    folder = _folder(tmp_path, ce=(3, 2, 1, 0))
    given = record_factory.predictions(right=(0, 0, 0, 0))
    value = record_factory.record(given, expression="ce", expression_hash="ce", key="another", task__seed=0)
    record_factory.write(value, given, folder, "again")
    runs = ltbench.load(folder)
    assert runs._repr_html_() is None and repr(runs) == "Runs(4 completed)"
    with pytest.raises(ltbench.UserError):
        runs.plot()
