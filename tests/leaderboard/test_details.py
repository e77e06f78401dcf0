from __future__ import annotations

import shlex
from typing import Any

import pytest

from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.details import command, curve_images, curve_names, row_details
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED, WORSE, Standing
from ltbench.results.class_names import recorded_names
from tests.support.record_factory import broken, model, predictions, record, stored

ALONE = Standing("ce", "one seed", None, best=False)


def test_a_curve_is_a_mean_over_runs_in_the_order_of_training_images() -> None:
    # Class counts 101, 100, 20, 19; three test images each.
    runs = [record(predictions(right=right), task__seed=seed) for seed, right in enumerate([(3, 2, 1, 0), (3, 0, 0, 0)])]
    (table,), _ = collect(stored(*runs))
    details = row_details(table.rows[0], ALONE)
    assert curve_images(table) == [101, 100, 20, 19]
    assert details["curve"] == [100.0, 33.33, 16.67, 0.0]
    assert [run["accuracy"]["all"] for run in details["runs"]] == [50.0, 25.0]


def test_classes_of_another_order_are_sorted_by_their_images() -> None:
    counts = [19, 101, 20, 100]
    (table,), _ = collect(stored(record(predictions(right=(0, 3, 1, 2)), split__class_counts=counts)))
    assert curve_images(table) == [101, 100, 20, 19]
    assert row_details(table.rows[0], ALONE)["curve"] == [100.0, 66.67, 33.33, 0.0]


def test_the_places_of_a_curve_have_names() -> None:
    counts = [19, 101, 20, 100]
    (table,), _ = collect(stored(record(split__class_counts=counts, split__class_names=["a", "b", "c", "d"])))
    assert curve_names(table, recorded_names) == ["b", "d", "c", "a"]
    assert curve_names(table, lambda record: None) is None
    (table,), _ = collect(stored(many_classes(250)))
    assert curve_names(table, lambda record: ["x"] * 250) is None  # places are shared


def many_classes(classes: int) -> dict[str, Any]:
    return record(split__class_counts=list(range(classes, 0, -1)), split__test_counts=[2] * (classes - 1) + [0],
                  per_class={"correct": [1] * (classes - 1) + [0], "total": [2] * (classes - 1) + [0]})


def test_many_classes_share_places_and_a_class_without_test_images_has_no_part() -> None:
    (table,), _ = collect(stored(many_classes(250)))
    images, curve = curve_images(table), row_details(table.rows[0], ALONE)["curve"]
    assert images is not None and len(images) == len(curve) == 100
    assert images[:2] == [249.5, 247.0]  # of 250 and 249; of 248, 247 and 246
    assert set(curve) == {50.0}
    (table,), _ = collect(stored(many_classes(100)))
    assert row_details(table.rows[0], ALONE)["curve"][-1] is None


def test_costs_are_means_and_peaks_and_what_one_run_lacks_is_no_figure() -> None:
    runs = [record(timing={"seconds": {"stage 1": 10.0, "evaluation": 2.0}, "peak_memory_bytes": {"cuda": 5}}),
            record(task__seed=1, timing={"seconds": {"stage 1": 20.0}, "peak_memory_bytes": {"cuda": 7}})]
    (table,), _ = collect(stored(*runs))
    details = row_details(table.rows[0], ALONE)
    assert details["seconds_by_phase"] == {"evaluation": None, "stage 1": 15.0}
    assert details["peak_memory_bytes"] == {"cuda": 7}


def test_a_row_says_where_it_came_from() -> None:
    runs = [record(core__commit=commit, task__seed=seed, environment={"device": "cpu"}) for seed, commit in enumerate("ba")]
    (table,), _ = collect(stored(*runs))
    details = row_details(table.rows[0], ALONE)
    assert details["made_by"] == {"commits": ["a", "b"], "ltbench": ["0.1.0"], "plugins": ["ltbench 0.1.0"], "devices": ["cpu"],
                                  "selection": ["last"], "tuning": ["0 trials"]}
    assert details["stages"] == [{"expression": "ce", "inputs": "images", "overrides": {},
                                  "methods": [{"name": "ce", "hyperparameters": {}, "about": ""}]}]


@pytest.mark.parametrize(("said", "about"), [
    ({"summary": "cross-entropy", "paper": "A, 2020"}, "cross-entropy (A, 2020)"),
    ({"summary": "cross-entropy"}, "cross-entropy"),
    ({"paper": "A, 2020", "summary": ""}, "A, 2020"),
])
def test_a_row_says_what_its_methods_are_and_what_they_cost(said: dict[str, str], about: str) -> None:
    cost = {"parameters": 10, "operations": 100, "relative": 1.5}
    one = record(cost=cost)
    one["stages"][0]["methods"][0] |= said
    (table,), _ = collect(stored(one))
    details = row_details(table.rows[0], ALONE)
    assert details["stages"][0]["methods"][0]["about"] == about and details["cost"] == cost


def test_a_row_without_a_completed_run_has_no_details() -> None:
    (table,), _ = collect(stored(broken("diverged")))
    details = row_details(table.rows[0], ALONE)
    assert curve_images(table) is None
    assert (details["curve"], details["command"], details["runs"], details["stages"]) == (None, None, [], [])


def test_a_row_says_whether_it_can_be_told_from_the_best() -> None:
    (table,), _ = collect(stored(record()))
    fields = ("standing", "rank_interval")
    assert [row_details(table.rows[0], ALONE)[name] for name in fields] == [NOT_COMPARED, None]
    compared = Standing("ce", None, (1, 3), best=True)
    assert [row_details(table.rows[0], compared)[name] for name in fields] == [TIED, [1, 3]]
    assert row_details(table.rows[0], Standing("ce", None, (2, 3), best=False))["standing"] == WORSE


@pytest.mark.parametrize(("changes", "words"), [
    ({}, "--methods ce --dataset digits-lt@20 --seeds 0 --protocol quick"),
    ({"expression": "ce/prototype(distance=cosine)"},
     "--methods 'ce/prototype(distance=cosine)' --dataset digits-lt@20 --seeds 0 --protocol quick"),
    ({"task__imbalance_ratio": None, "task__imbalance": None}, "--methods ce --dataset digits-lt --seeds 0 --protocol quick"),
    ({"task__imbalance": "step", "task__split_seed": 2, "precision": "bf16"},
     "--methods ce --dataset digits-lt@20 --seeds 0 --split-seeds 2 --imbalance step --protocol quick --precision bf16"),
    ({"track": "paper", "paper": "ldam"},
     "--methods ce --dataset digits-lt@20 --seeds 0 --track paper --backbone resnet20 --epochs 16 --paper ldam"),
    ({"protocol__eval_noise": 0.2}, "--methods ce --dataset digits-lt@20 --seeds 0 --protocol quick --test-noise 0.2"),
])
def test_the_command_of_a_row(changes: dict[str, Any], words: str) -> None:
    assert command([model(**changes)]) == f"ltbench run {words}"


def test_a_command_has_all_seeds() -> None:
    found = command([model(task__seed=seed) for seed in (0, 1, 2)])
    assert found is not None and "--seeds 0,1,2" in found


@pytest.mark.parametrize("changes", [
    {"external": "from elsewhere"}, {"protocol__name": "custom"}, {"expression": "--out=/"}, {"expression": "ce\nrm"},
])
def test_no_command_is_better_than_a_wrong_one(changes: dict[str, Any]) -> None:
    assert command([model(**changes)]) is None


def test_what_a_record_says_is_one_word_of_a_shell() -> None:
    text = command([model(expression="$(touch x); `y` 'z'")])
    assert text is not None and shlex.split(text)[3] == "$(touch x); `y` 'z'"
