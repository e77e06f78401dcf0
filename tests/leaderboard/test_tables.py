from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.rows import Table, among_compared
from ltbench.leaderboard.tables import format_estimate, headings, render
from ltbench.results.interval import Estimate
from tests.support.record_factory import broken, record, stored

HOSTILE = "<script>|\\x[a](b)\n\x1b[2J100%_$#{}~^&"


def _tables(*values: dict[str, Any]) -> list[Table]:
    tables, problems = collect(stored(*values))
    assert problems == []
    return tables


def _board() -> list[dict[str, Any]]:
    """Three seeds of one method (mean 51, interval 4.303 * 2 / sqrt(3)), one of another, and one that diverged."""
    tuned = record(expression="wd", metrics__accuracy__all=48.0, metrics__accuracy__few=None, metrics__ece=0.25)
    tuned["stages"][0]["protocol_overrides"] = {"weight_decay": 0.005}
    three = [record(task__seed=seed, metrics__accuracy__all=49.0 + 2 * seed) for seed in (0, 1, 2)]
    return [tuned, *three, broken("diverged", expression="focal")]


def test_markdown() -> None:
    assert render(_tables(*_board()), "md") == """\
## digits-lt@20, common track, quick protocol, resnet20, 16 epochs, 240 training images, fp32

|   # | method   |        all |        many |     medium |       few |   worst tenth |   harmonic mean |           ECE |   seeds |   seconds | notes                                      |
|-----|----------|------------|-------------|------------|-----------|---------------|-----------------|---------------|---------|-----------|--------------------------------------------|
|   1 | ce       | 51.0 ± 5.0 | 100.0 ± 0.0 | 50.0 ± 0.0 | 0.0 ± 0.0 |     0.0 ± 0.0 |       0.0 ± 0.0 | 0.000 ± 0.000 |       3 |      12.5 |                                            |
|   2 | wd       |       48.0 |       100.0 |       50.0 |         — |           0.0 |             0.0 |         0.250 |       1 |      12.5 | not compared: one seed; weight_decay=0.005 |
|   — | focal    |          — |           — |          — |         — |             — |               — |             — |       0 |         — | 1 of 1 diverged                            |
"""  # noqa: E501


@pytest.mark.parametrize(("inputs", "tune", "note"), [
    (["images", "features"], None, "7 parameters trained"),  # the first stage is given
    (["images", "features", "features"], None, "7 parameters trained in the largest stage"),
    (["images"], "all", "7 parameters trained"),
    (["images", "none"], "all", "7 parameters trained"),
    (["images", "features"], "all", "7 parameters trained in the largest stage"),
])
def test_a_note_says_of_which_stage_the_trained_parameters_are(inputs: list[str], tune: str | None, note: str) -> None:
    value = record(external="ab" * 32, pretraining={"kind": "weights", "source": "file", "sha256": "ab" * 32, "tune": tune},
                   cost={"parameters": 9, "operations": 9, "relative": 1.0, "trainable": 7})
    value["stages"] = [{**value["stages"][0], "inputs": kind} for kind in inputs]
    assert f"| external: {'ab' * 6}; {note} |" in render(_tables(value), "md")


def test_what_must_be_known_of_a_dataset_stands_beside_its_figures() -> None:
    values = stored(record(), record(task__dataset="cifar100-lt"))
    tables, _ = collect(values, {"cifar100-lt": "ten | test images"})
    assert [line for line in render(tables, "md").splitlines() if "test images" in line] == ["ten \\| test images."]
    assert "\n% ten | test images.\n" in render(tables, "latex")
    assert [line["remark"] for line in csv.DictReader(io.StringIO(render(tables, "csv")))] == ["ten | test images", ""]
    assert [table.get("remark") for table in json.loads(render(tables, "json"))] == ["ten | test images", None]


def test_latex() -> None:
    assert render(_tables(*_board()[1:]), "latex") == r"""% digits-lt@20, common track, quick protocol, resnet20, 16 epochs, 240 training images, fp32
\begin{tabular}{rlrrrrrrrrrl}
\toprule
   \# & method   &        all &        many &     medium &       few &   worst tenth &   harmonic mean &           ECE &   seeds &   seconds & notes           \\
\midrule
   1 & ce       & 51.0 $\pm$ 5.0 & 100.0 $\pm$ 0.0 & 50.0 $\pm$ 0.0 & 0.0 $\pm$ 0.0 &     0.0 $\pm$ 0.0 &       0.0 $\pm$ 0.0 & 0.000 $\pm$ 0.000 &       3 &      12.5 &                 \\
   --- & focal    &          --- &           --- &          --- &         --- &             --- &               --- &             --- &       0 &         --- & 1 of 1 diverged \\
\bottomrule
\end{tabular}
"""  # noqa: E501


def test_what_all_rows_lack_is_said_once() -> None:
    text = render(_tables(record(), record(expression="la", task__seed=1)), "md")
    assert text.endswith("\nRows are not compared: one seed.\n") and "notes" not in text
    assert "Rows are" not in render(_tables(record(), record(expression="la", protocol__name="custom")), "md")
    (table,) = json.loads(render(_tables(*_board()), "json"))
    assert [row["not_compared"] for row in table["rows"]] == [None, "one seed", "a run broke"]


def test_a_row_that_is_not_compared_takes_no_rank_from_those_that_are() -> None:
    assert among_compared([1, 2, 3, 4, None], [False, True, False, True, False]) == [None, 1, None, 2, None]
    assert among_compared([1, 2, None], [False, True, False]) == [1, 2, None]  # alone among the compared: means decide


def test_csv_is_in_full_precision() -> None:
    lines = list(csv.DictReader(io.StringIO(render(_tables(*_board()), "csv"))))
    assert [(line["rank"], line["method"]) for line in lines] == [("1", "ce"), ("2", "wd"), ("", "focal")]
    first, second, third = lines
    assert (first["dataset"], first["imbalance_ratio"]) == ("digits-lt", "20.0")
    assert (first["split_seeds"], first["train_images"]) == ("0", "240")
    assert float(first["accuracy.all"]) == 51
    assert float(first["accuracy.all_low"]) == pytest.approx(51 - 4.968275, abs=1e-6)
    assert float(first["accuracy.all_high"]) == pytest.approx(51 + 4.968275, abs=1e-6)
    assert [line["not_compared"] for line in lines] == ["", "one seed", "a run broke"]
    assert (second["accuracy.all_low"], second["accuracy.few"], second["overrides"]) == ("", "", '{"weight_decay": 0.005}')
    assert (third["completed"], third["diverged"], third["accuracy.all"]) == ("0", "1", "")


def test_exports_hold_accuracy_under_label_shift_by_source() -> None:
    def shifted(source: str, accuracy: float, **changes: Any) -> dict[str, Any]:
        entry = {"accuracy": accuracy, "images": 7, "classes": 4, "sha256": "ab", "members": "AA=="}
        return record(metrics__label_shift={source: {"forward2": entry}}, **changes)

    values = [shifted("built", 40.0), shifted("built", 50.0, task__seed=1), shifted("built", 1.0, expression="la"),
              shifted("published", 2.0, expression="la", task__seed=1), record(expression="nc")]
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(render(_tables(*values), "csv")))}
    built, published = "label_shift.built.forward2.accuracy", "label_shift.published.forward2.accuracy"
    assert float(lines["ce"][built]) == 45 and lines["ce"][published] == ""
    assert [lines[method][built] for method in ("la", "nc")] == ["", ""]  # la's two runs saw two sets
    (table,) = json.loads(render(_tables(*values), "json"))
    assert next(row for row in table["rows"] if row["method"] == "ce")["metrics"][built]["mean"] == 45
    assert "label_shift" not in render(_tables(record()), "csv")


def test_json_has_everything() -> None:
    values = [record(task__seed=seed, metrics__extra={"angle": float(seed)}) for seed in (0, 1, 2)]
    (table,) = json.loads(render(_tables(*values), "json"))
    assert (table["dataset"], table["protocol"]["epochs"], table["not_ranked"]) == ("digits-lt", 16, None)
    assert table["splits"] == [{"seed": 0, "hash": "ab" * 32}]
    (row,) = table["rows"]
    assert row["completed"] == [{"seed": seed, "split_seed": 0, "key": "f" * 8} for seed in (0, 1, 2)]
    assert (row["rank"], row["metrics"]["extra.angle"]["mean"], row["metrics"]["accuracy.all"]["mean"]) == (1, 1.0, 50.0)
    assert row["metrics"]["test_loss"] == {"mean": 1.0, "ci95": [1.0, 1.0], "runs": 3}


def test_hostile_names_stay_names_in_markdown() -> None:
    text = render(_tables(record(expression=HOSTILE, protocol__backbone="<b>|\n")), "md")
    assert r"&lt;script&gt;\|\\x\[a\](b)  \[2J100%_$#{}~^&amp;" in text
    assert "<" not in text and "\x1b" not in text
    assert len(text.splitlines()) == 5
    bars = {line.replace(r"\|", "").count("|") for line in text.splitlines()[2:]}
    assert bars == {12}  # 11 columns: nothing within a cell ends it


def test_hostile_names_stay_names_in_latex() -> None:
    text = render(_tables(record(expression=HOSTILE)), "latex")
    escaped = r"\ensuremath{<}script\ensuremath{>}\textbar{}\textbackslash{}x[a](b)  [2J100\%\_\$\#\{\}\textasciitilde{}\^{}\&"
    assert escaped in text
    assert text.count("\\\\\n") == 2  # the heading's and one row's


def test_formulas_stay_text_in_a_spreadsheet() -> None:
    (line,) = csv.DictReader(io.StringIO(render(_tables(record(expression='=HYPERLINK("x")', metrics__test_loss=-1.0)), "csv")))
    assert line["method"] == "'=HYPERLINK(\"x\")"
    assert line["test_loss"] == "-1.0"  # a number is no formula


def test_what_looks_like_a_number_stays_as_it_was_written() -> None:
    line = render(_tables(record(expression="1e5", metrics__accuracy__all=100.0)), "md").splitlines()[-1]
    assert [cell.strip() for cell in line.split("|")[1:4]] == ["1", "1e5", "100.0"]


def test_unranked_tables_say_so_and_have_no_ranks() -> None:
    text = render(_tables(record(protocol__name="custom", protocol__epochs=1)), "md")
    assert "custom protocol, resnet20, 1 epoch, 240 training images, fp32, not ranked (custom protocol)\n" in text
    assert "#" not in text.splitlines()[2]


def test_a_heading_names_what_is_unusual() -> None:
    tables = _tables(record(task__imbalance="step", selection="val", task__split_seed=3, task__imbalance_ratio=12.5))
    (heading,) = headings(tables)
    assert str(heading) == ("digits-lt@12.5-step, common track, quick protocol, resnet20, 16 epochs, 240 training images, fp32, "
                            "split seed 3, selection val")
    assert (heading.dataset, heading.track) == ("digits-lt@12.5-step", "common")
    assert str(headings(_tables(record(task__imbalance_ratio=None)))[0]).startswith("digits-lt, common track")


def test_headings_that_would_read_alike_name_their_difference() -> None:
    tables = _tables(*(record(protocol__name="custom", protocol__lr=lr) for lr in (0.1, 0.2)))
    assert sorted(heading.terms.rpartition(", ")[2] for heading in headings(tables)) == ["lr=0.1", "lr=0.2"]
    tables = _tables(record(), record(expression="la", split__hash="cd" * 32))
    assert sorted(heading.terms.rpartition(", ")[2] for heading in headings(tables)) == ["split abababab", "split cdcdcdcd"]


def test_tables_are_separated_by_a_line() -> None:
    text = render(_tables(record(), record(task__dataset="cifar100-lt")), "md")
    assert text.count("\n\n## ") == 1 and text.startswith("## cifar100-lt@20")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Estimate(41.25, (40.87, 41.63), 3), "41.2 ± 0.4"),
        (Estimate(99.0, (96.1, 100.0), 3), "99.0 (96.1 to 100.0)"),
        (Estimate(99.0, (98.0, 100.0), 3), "99.0 ± 1.0"),
        (Estimate(41.34, None, 1), "41.3"),
        (Estimate(None, None, 0), "—"),
        (Estimate(0.0, (0.0, 0.0), 3), "0.0 ± 0.0"),
    ],
)
def test_an_estimate_as_text(value: Estimate, text: str) -> None:
    assert format_estimate(value, 1) == text
