"""Runs that hold training images out and look at them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.planning.matrix import Planned, plan_matrix
from ltbench.planning.request import How, Request, Terms, What
from ltbench.registry.discovery import load_registry
from ltbench.results.accuracy import per_class_counts, shot_accuracy
from ltbench.results.command import command_of
from ltbench.results.evaluate import predict_test
from ltbench.results.records import read
from ltbench.running.setup import make_runner
from ltbench.running.tuning.validation import trial_data
from ltbench.trust.ground import Ground
from ltbench.trust.record import check_record

REGISTRY = load_registry(strict=False)
TEXT = "ce+learning_curve"


def _planned(hold_out: bool, how: How, text: str = TEXT) -> tuple[Request, Planned]:
    request = Request(What((text,), ("digits-lt@20",), seeds=(0,)), Terms("quick", by_hand={"epochs": 2}, hold_out=hold_out), how)
    return request, plan_matrix(request, REGISTRY)


def test_accuracy_on_images_held_out_as_tuning_holds_them_out(tmp_path: Path) -> None:
    request, planned = _planned(True, How(tmp_path / "runs", cache=tmp_path / "cache", debug=True, cpu=True))
    runner = make_runner(request, REGISTRY, planned)
    (plan,) = planned.plans
    (record,) = runner.run([plan])
    assert record.status == "completed", record.reason
    # The other way to the same number: a trial of the tuning, judged as trials are.
    _, bare = _planned(False, How())
    whole = runner.data.of(bare.plans[0])
    judged, validation = trial_data(whole, 0, None)
    assert record.split.hash == judged.split.hash and record.split.held_out == list(validation.counts)
    assert [a + b for a, b in zip(record.split.class_counts, validation.counts, strict=True)] == whole.class_counts.tolist()
    engine = runner.stages.obtain(plan.stages[0], 0, runner.data.of(plan), None).engine
    correct, total = per_class_counts(predict_test(engine, judged, runner.accelerator, flip=False, noise=0.0), 10)
    expected = shot_accuracy(correct, total, judged.class_counts.numpy())
    last = record.curve[-1].as_dict()
    named = {name: last[f"held_out_{name}"] for name in ("many", "medium", "few") if expected[name] is not None}
    assert named == pytest.approx({name: expected[name] for name in named}) and named
    assert record.metrics is not None and sum(record.per_class.total) == len(whole.test_indices)
    # What the record says of it, anybody can check and type again.
    path = tmp_path / "runs" / f"{plan.file_name}.json"
    _, remarks = check_record(path, REGISTRY, Ground(REGISTRY, None))
    assert [remark for remark in remarks if remark.level == "error"] == []
    assert command_of(read(path), planned.datasets["digits-lt"].protocols).endswith("--hold-out")


def test_it_is_another_run_on_terms_of_its_own() -> None:
    (held,), (plain,) = (_planned(hold_out, How(), "ce")[1].plans for hold_out in (True, False))
    assert held.key != plain.key and held.file_name != plain.file_name and held.protocol.name == "custom"


def test_where_it_means_nothing() -> None:
    with pytest.raises(UserError, match="--hold-out needs a first stage of its own"):
        Request(terms=Terms(hold_out=True), how=dataclasses.replace(How(), stage1=Path("x.safetensors")))
