"""Records that claim trials: what does not follow from itself, from the methods or from the images is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ltbench.data.digits import DigitsLT
from ltbench.data.held_out import held_out_counts
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.registry.discovery import load_registry
from ltbench.results.schema import Record
from ltbench.results.schema.validation import BrokenRecord, validate
from ltbench.running.tuning.validation import trial_data
from ltbench.terms.task import Task
from ltbench.trust.fields import check_fields
from ltbench.trust.tuning import check_space, check_trials, check_validation
from tests.support import record_factory

REGISTRY = load_registry(strict=False)


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_task_data(DigitsLT(), load_parts(DigitsLT(), None, download=False), Task("digits-lt", 20.0), None)


@pytest.fixture
def record(data: TaskData) -> dict[str, Any]:
    """Two trials of la.tau, of which the second was better."""
    value = record_factory.record()
    value["stages"][0]["methods"][0] |= {"name": "la", "hyperparameters": {"tau": 1.5}}
    validation = trial_data(data, 0, None)[1]
    value["tuning"] = {
        "expression": "la", "space": {"la.tau": {"kind": "uniform", "low": 0.0, "high": 3.0}},
        "sampler": {"name": "tpe", "seed": 0, "optuna": "5.0.0"}, "budget": {"trials": 2, "protocol": value["protocol"]},
        "validation": {"source": "held out", "counts": list(validation.counts), "sha256": validation.sha256},
        "trials": [{"values": {"la.tau": 0.5}, "score": 30.0, "status": "completed"},
                   {"values": {"la.tau": 1.5}, "score": 40.0, "status": "completed"}],
        "chosen": 1,
    }
    return {**value, "tuning_trials": 2}


def lines(record: dict[str, Any], data: TaskData) -> list[str]:
    record = Record.model_validate(record)
    remarks = [*check_trials(record), *check_space(record, REGISTRY, "error"), *check_validation(record, data)]
    return [f"{remark.field}: {remark.message}" for remark in remarks]


def test_a_sound_record_passes(record: dict[str, Any], data: TaskData) -> None:
    assert validate(record).as_dict() == record and lines(record, data) == []
    untuned = {name: value for name, value in record.items() if name != "tuning"} | {"tuning_trials": 0}
    assert lines(untuned, data) == []


@pytest.mark.parametrize(("change", "line"), [
    (lambda r: r.pop("tuning"), "tuning_trials: must be 0 where no trial is recorded, got 2"),
    (lambda r: r.update(tuning_trials=1), "tuning_trials: must be 2, of which the record holds 2, got 1"),
    (lambda r: r["tuning"]["trials"].pop(), "tuning_trials: must be 2, of which the record holds 1, got 2"),
    (lambda r: r["tuning"]["budget"].update(trials=20), "tuning_trials: must be 20, of which the record holds 2, got 2"),
    (lambda r: r["tuning"].update(chosen=0), "tuning.chosen: must be 1, the first of the highest score, got 0"),
    (lambda r: r["tuning"]["trials"][0].update(score=40.0), "tuning.chosen: must be 0, the first of the highest score, got 1"),
    (lambda r: r["tuning"]["trials"][0]["values"].update({"la.tau": 3.5}),
     "tuning.trials[0].values.la.tau: must be in 0 to 3, got 3.5"),
    (lambda r: r["tuning"]["trials"][0]["values"].update({"la.x": 1}),
     "tuning.trials[0].values: must be of la.tau, got 'la.tau, la.x'"),
    (lambda r: r["tuning"]["trials"][0].update(status="refused"),
     "tuning.trials[0].score: must be null for values that a method refused"),
    (lambda r: r["tuning"]["trials"][0].update(score=None),
     "tuning.trials[0].score: must be given for a completed trial"),
    (lambda r: r["stages"][0]["methods"][0]["hyperparameters"].update(tau=2.5),
     "tuning.trials.values.la.tau: must be a value that the run has, got 1.5"),
    (lambda r: r["tuning"]["space"]["la.tau"].update(high=30.0), "tuning.space.la.tau: must be 0 to 3, as la declares it"),
    (lambda r: r["tuning"]["space"]["la.tau"].update(low=5.0),
     "tuning.space: low and high must be finite and low below high, got 5.0 and 3.0"),
    (lambda r: r["tuning"]["validation"].update(source="own"), "tuning.validation.source: must be 'held out' as the task has it"),
    (lambda r: r["tuning"]["validation"].update(sha256="0" * 64), "tuning.validation.sha256: must be"),
])
def test_what_was_changed_is_found(record: dict[str, Any], data: TaskData, change: Callable[[Any], object], line: str) -> None:
    changed = copy.deepcopy(record)
    change(changed)
    found = lines(changed, data)
    assert any(one.startswith(line) for one in found), found


def test_validation_counts_are_those_of_the_task(record: dict[str, Any], data: TaskData) -> None:
    assert record["tuning"]["validation"]["counts"] == held_out_counts(np.asarray(data.split.class_counts)).tolist()
    record["tuning"]["validation"]["counts"][0] += 1
    assert lines(record, data)[0].startswith("tuning.validation.counts: must be [")


def test_scores_over_fewer_classes_are_told(record: dict[str, Any]) -> None:
    record["tuning"]["validation"]["counts"] = [2, 2, 0]
    assert [(one.level, one.field, one.message) for one in check_trials(Record.model_validate(record))] == [
        ("warning", "tuning.trials", "scores are over 2 of 3 classes: the others have no validation image")]
    record["split"]["held_out"] = [2, 2, 2, 0]
    assert [one.message for one in check_fields(Record.model_validate(record)) if one.field == "split.held_out"] == [
        "figures on these images are over 3 of 4 classes: the others have no held-out image"]


def test_a_refused_or_diverged_trial_is_never_the_chosen_one(record: dict[str, Any], data: TaskData) -> None:
    trials = record["tuning"]["trials"]
    record["tuning"]["trials"] = [{**trials[0], "score": None, "status": "refused"}, trials[1],
                                  {**trials[0], "score": 0.0, "status": "diverged"}]
    record["tuning"]["budget"]["trials"] = record["tuning_trials"] = 3
    assert lines(record, data) == []


@pytest.mark.parametrize(("place", "value", "message"), [
    ("chosen", -1, "tuning.chosen must be an integer >= 0, got -1"),
    ("trials", [{"values": {}, "score": 101, "status": "completed"}],
     "tuning.trials[0].score must be a number in [0, 100], got 101"),
    ("space", {"la.tau": {"kind": "grid"}}, "tuning.space.la.tau.kind must be one of uniform, log_uniform, choice, got 'grid'"),
])
def test_the_schema_names_fields(record: dict[str, Any], place: str, value: object, message: str) -> None:
    record["tuning"][place] = value
    with pytest.raises(BrokenRecord) as caught:
        validate(record)
    assert caught.value.problems == [message]
