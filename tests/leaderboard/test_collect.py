from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ltbench.leaderboard.collect import collect, same_row, total_seconds
from ltbench.leaderboard.contradictions import Contradiction
from ltbench.leaderboard.tables import headings, render
from ltbench.results.schema import Record
from tests.support.record_factory import broken, model, predictions, record, stored

INPUT = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 224, "crop": 0.875, "interpolation": "bicubic", "crop_mode": "center"}


def _seeds(*figures: float, **changes: Any) -> list[dict[str, Any]]:
    """One record a figure, which is its accuracy over all classes."""
    return [record(task__seed=seed, metrics__accuracy__all=figure, **changes) for seed, figure in enumerate(figures)]


def test_seeds_make_a_row() -> None:
    tables, problems = collect(stored(*_seeds(40.0, 42.0, 44.0)))
    assert problems == []
    (row,) = tables[0].rows
    # Deviation 2: 4.302653 * 2 / sqrt(3) = 4.968.
    assert (row.figure("accuracy.all").mean, row.figure("accuracy.all").runs) == (42.0, 3)
    assert row.figure("accuracy.all").half_width == pytest.approx(4.968, abs=1e-3)
    assert row.seconds.mean == 12.5
    assert [record.task.seed for record in row.records] == [0, 1, 2]
    assert (tables[0].train_images, tables[0].splits) == (240, ((0, "ab" * 32),))


def test_a_row_is_all_but_seeds_and_what_came_out() -> None:
    first, second = (Record.model_validate(value) for value in _seeds(40.0, 42.0))
    assert same_row(first, second) and same_row(first, model(task__split_seed=1))
    assert not same_row(first, model(expression_hash="ff"))
    assert not same_row(first, model(protocol__lr=0.5))


def test_rows_are_ranked_by_their_mean() -> None:
    values = [*_seeds(41.0, 42.0), *_seeds(45.0, 46.0, expression="la")]
    values += [*_seeds(45.5, expression="nc"), *_seeds(30.0, expression="rs")]
    (table,), _ = collect(stored(*values))
    assert [row.method for row in table.rows] == ["la", "nc", "ce", "rs"]
    assert table.ranks() == [1, 1, 3, 4]  # 45.5 twice: equal means share a rank


@pytest.mark.parametrize(
    "changes",
    [
        {"task__dataset": "cifar100-lt"},
        {"task__imbalance_ratio": 50.0},
        {"task__imbalance": "step"},
        {"task__split_seed": 1},
        {"track": "paper"},
        {"selection": "val"},
        {"precision": "bf16"},
        {"external": "their checkpoint"},
        {"protocol__epochs": 17},
        {"protocol__lr": 0.2},
        {"protocol__augmentation": []},
        {"split__hash": "cd" * 32},
    ],
)
def test_other_terms_never_share_a_table(changes: dict[str, Any]) -> None:
    tables, problems = collect(stored(record(), record(expression="la", **changes)))
    assert len(tables) == 2 and problems == []


def test_first_stages_and_pre_training_from_elsewhere_share_a_table_with_nothing() -> None:
    weights = {"kind": "weights", "source": "file", "sha256": "ab"}
    values = [record(), record(external="cd"), record(external="ab", pretraining=weights)]
    tables, problems = collect(stored(*values, record(expression="la", external="ab", pretraining=weights)))
    assert problems == [] and {table.external: len(table.rows) for table in tables} == {
        None: 1, "external first stages": 1, "external pre-training": 2,
    }
    (marked,) = [table for table in tables if table.external == "external pre-training"]
    assert marked.unranked == "external pre-training" and marked.ranks() == [None, None]
    assert "external pre-training, not ranked" in str(headings([marked])[0])


@pytest.mark.parametrize(("changes", "told"), [
    ({"sha256": "cd" * 32}, ("weights=abababababab", "weights=cdcdcdcdcdcd")),
    ({"input": {**INPUT, "size": 96}}, ("at 224 pixels", "at 96 pixels")),
    ({"input": {**INPUT, "crop": 1.0}}, ("crop=0.875", "crop=1.0"))])
def test_other_weights_and_other_sizes_of_images_never_share_a_table(changes: dict[str, Any], told: tuple[str, str]) -> None:
    weights = {"kind": "weights", "source": "file", "sha256": "ab" * 32, "input": INPUT, "tune": "all"}
    values = [record(external="ab" * 32, pretraining=weights),
              record(expression="la", external=str(changes.get("sha256", "ab" * 32)), pretraining={**weights, **changes})]
    tables, problems = collect(stored(*values))
    assert problems == [] and len(tables) == 2
    assert sorted(word for heading in map(str, headings(tables)) for word in told if word in heading) == sorted(told)


def test_other_split_seeds_never_share_a_table() -> None:
    both = [record(task__split_seed=seed, split__hash=split * 32) for seed, split in enumerate(("ab", "cd"))]
    tables, _ = collect(stored(*both, record(expression="la")))
    assert sorted(len(table.splits) for table in tables) == [1, 2]


def test_ten_and_ten_point_zero_are_one() -> None:
    tables, _ = collect(stored(record(task__imbalance_ratio=20), record(expression="la", protocol__stage2_draws=10)))
    assert len(tables) == 1


def test_a_declared_override_stays_in_the_table_and_is_shown() -> None:
    tuned = record(expression="wd")
    tuned["stages"][0]["protocol_overrides"] = {"weight_decay": 0.005}
    (table,), _ = collect(stored(record(), tuned))
    assert {row.method: row.overrides for row in table.rows} == {"ce": {}, "wd": {"weight_decay": 0.005}}


def test_other_hyperparameters_are_another_row() -> None:
    one, other = record(), record(expression_hash="fedcba9876543210", task__seed=1)
    (table,), _ = collect(stored(one, other))
    assert [row.method for row in table.rows] == ["ce #01234567", "ce #fedcba98"]


def test_equal_records_of_one_run_count_once() -> None:
    copied = record(timing__seconds={"total": 1.0}, predictions__file="copy.npz")
    (table,), problems = collect(stored(record(), copied))
    assert problems == [] and len(table.rows[0].completed) == 1


def test_one_run_on_the_terms_of_two_papers_counts_once() -> None:
    tables, problems = collect(stored(record(paper="one"), record(paper="other")))
    assert problems == [] and [len(row.completed) for table in tables for row in table.rows] == [1]


def test_other_terms_of_a_later_stage_are_another_row() -> None:
    stages = record()["stages"]
    other = [{**stages[0], "protocol": {"stage2_draws": 1.0}}]
    tables, problems = collect(stored(record(), record(predictions(right=(3, 3, 1, 0)), stages=other)))
    assert problems == [] and [len(table.rows) for table in tables] == [2]


def test_contradicting_records_of_one_run_are_both_left_out() -> None:
    other = record(metrics__accuracy__all=99.0)
    tables, problems = collect(stored(record(), other, record(expression="la")))
    assert problems == [Contradiction(Path("a.json"), Path("b.json"), (0, 0), ("metrics.accuracy.all",))]
    assert [str(problem) for problem in problems] == [
        "records a.json and b.json are of one run (seed 0, split seed 0) and differ in metrics.accuracy.all: neither is used"]
    assert [row.method for row in tables[0].rows] == ["la"]


def _of_code(digest: str, **changes: Any) -> dict[str, Any]:
    value = record(**changes)
    value["stages"][0]["methods"][0]["sources"] = {"ce.py": digest, "same.py": "aa"}
    return value


def test_runs_of_other_code_are_another_row_and_say_so() -> None:
    values = [_of_code("aa", task__seed=0), _of_code("aa", task__seed=1), _of_code("bb", task__seed=2)]
    (table,), problems = collect(stored(*values, record(expression="la")))
    assert problems == []
    one, other, alone = sorted(table.rows, key=lambda row: -len(row.completed) + (row.expression == "la"))
    assert [record.task.seed for record in one.records] == [0, 1] and [record.task.seed for record in other.records] == [2]
    assert one.mark != other.mark and one.mark and other.mark and not alone.mark
    assert one.code == other.code == "another row ran other code: ce.py" and alone.code == ""
    assert not same_row(one.records[0], other.records[0]) and same_row(*one.records)
    assert str(render([table], "md")).count("another row ran other code: ce.py") == 2


def test_two_codes_of_one_seed_are_two_rows() -> None:
    (table,), problems = collect(stored(_of_code("aa"), _of_code("bb", metrics__accuracy__all=99.0)))
    assert problems == [] and [row.code for row in table.rows] == ["another row ran other code: ce.py"] * 2


def test_versions_of_ltbench_within_a_row_are_told() -> None:
    (table,), _ = collect(stored(record(), record(task__seed=1, core__version="0.2.0")))
    assert [row.code for row in table.rows] == ["runs of ltbench 0.1.0 and 0.2.0"]


def test_split_seeds_that_chose_the_same_images_are_one_run() -> None:
    """On a set used as it is: equal runs would stand there as if they were seeds of their own, without any spread."""
    tables, problems = collect(stored(record(), record(task__split_seed=1), record(task__seed=1)))
    assert problems == [] and [[*row.runs] for table in tables for row in table.rows] == [[(0, 0), (0, 1)]]
    other = record(task__split_seed=1, predictions__sha256="cd" * 32)
    tables, (problem,) = collect(stored(record(), other, record(task__seed=1)))
    assert [[*row.runs] for table in tables for row in table.rows] == [[(0, 1)]]
    assert str(problem) == ("records a.json and b.json are of one run (seed 0, the same training images) and differ in "
                            "predictions: neither is used")


def test_a_run_that_failed_contradicts_nothing() -> None:
    failed = record(status="failed", reason="x", task__split_seed=1)
    failed["split"]["class_counts"] = [*failed["split"]["class_counts"][:-1], 7]
    tables, problems = collect(stored(record(), failed))
    assert problems == [] and sum(len(row.completed) for table in tables for row in table.rows) == 1


@pytest.mark.parametrize("name", ["class_counts", "test_counts"])
def test_records_that_describe_one_split_differently_are_left_out(name: str) -> None:
    other = record(expression="la")
    other["split"][name] = [*other["split"][name][:-1], 7]
    tables, (problem,) = collect(stored(record(), other, record(expression="nc"), record(task__seed=1, split__hash="cd" * 32)))
    assert str(problem) == (f"records a.json and b.json are of one split (abababababab) and differ in split.{name}: none of "
                            "its 3 records is used")
    assert len(problem.left_out) == 3
    assert [row.runs.keys() for table in tables for row in table.rows] == [{(0, 1)}]


def test_sets_of_one_name_with_other_images_stand_apart() -> None:
    values = [record(task__dataset="folder:x", split__images=images, split__hash=split, task__split_seed=seed)
              for images, splits in (("one", "ab"), ("two", "cd")) for seed, split in enumerate(splits)]
    tables, problems = collect(stored(*values))
    assert problems == []
    assert [table.splits for table in tables] == [((0, "a"), (1, "b")), ((0, "c"), (1, "d"))]


def test_broken_runs_stand_last_and_unranked() -> None:
    values = [
        *_seeds(90.0, expression="half"),
        broken("diverged", expression="half", task__seed=1),
        broken("failed", expression="none"),
        *_seeds(40.0),
    ]
    (table,), _ = collect(stored(*values))
    assert [(row.method, len(row.completed), row.diverged, row.failed) for row in table.rows] == [
        ("ce", 1, 0, 0), ("half", 1, 1, 0), ("none", 0, 0, 1),
    ]
    assert table.ranks() == [1, None, None]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"protocol__name": "custom"}, "custom protocol"),
        ({"protocol__name": "smoke"}, "smoke protocol"),
        ({"external": "their checkpoint"}, "external first stages"),
    ],
)
def test_some_tables_are_not_ranked(changes: dict[str, Any], reason: str) -> None:
    (table,), _ = collect(stored(record(**changes)))
    assert table.unranked == reason and table.ranks() == [None]


def test_a_figure_that_one_run_lacks_has_no_mean() -> None:
    (table,), _ = collect(stored(record(), record(predictions(right=(1, 1, 1, 1)), task__seed=1, metrics__accuracy__few=None)))
    assert table.rows[0].figure("accuracy.few").mean is None
    assert table.rows[0].figure("accuracy.many").mean == pytest.approx((100 + 100 / 3) / 2)


def test_plugin_figures_are_kept() -> None:
    values = [record(task__seed=seed, metrics__extra={"angles": {"mean": 10.0 * seed}, "note": "text"}) for seed in (1, 2)]
    (table,), _ = collect(stored(*values))
    assert table.rows[0].figure("extra.angles.mean").mean == 15
    assert "extra.note" not in table.rows[0].figures


def test_seconds_are_the_total_or_the_sum() -> None:
    assert total_seconds(model()) == 12.5
    assert total_seconds(model(timing__seconds={"total": 11.0, "stage 1": 10.0})) == 11.0
    assert total_seconds(model(timing__seconds={"data": 5.0, "stage 1": 10.0, "evaluation": 2.0})) == 12.0
    assert total_seconds(model(timing__seconds={})) is None
