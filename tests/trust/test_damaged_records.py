"""Records edited by hand, made from a real one: each is refused, naming the field that was edited or one that shows it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.cli.main import main
from ltbench.results.predictions import Predictions
from tests.support.real_records import Copy, Damage, Refuse


def _field(**changes: Any) -> Damage:
    return lambda copy: copy.change(**changes)


def _digit(copy: Copy) -> None:
    """The third digit of the accuracy."""
    record = copy.record()
    record["metrics"]["accuracy"]["all"] += 0.1
    copy.save(record)


def _counts(copy: Copy, name: str, change: int) -> None:
    record = copy.record()
    record["split"][name][0] += change
    copy.save(record)


def _moments(copy: Copy, *parts: float) -> None:
    record = copy.record()
    record["curve"][1:1] = [{"stage": 1, "epoch": 1, "epochs": 2, "part": part} for part in parts]
    copy.save(record)


def _shorter(copy: Copy) -> None:
    """One epoch of the first stage less, as if there had never been more."""
    record = copy.record()
    record["curve"] = [row for row in record["curve"] if (row["stage"], row["epoch"]) != (1, 2)]
    record["curve"][0]["epochs"] = 1
    copy.save(record)


def _rehashed(copy: Copy, **changes: Any) -> None:
    copy.change(**changes)
    record = copy.record()
    content = [[[method["name"], method["hyperparameters"]] for method in stage["methods"]] for stage in record["stages"]]
    record["expression_hash"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    copy.save(record)


def _other_seed(copy: Copy) -> None:
    copy.change(task__seed=7)
    moved = copy.npz.with_name(copy.npz.name.replace("_s0_", "_s7_"))
    copy.npz.rename(moved)
    copy.change(predictions__file=moved.name)


def _all_right(copy: Copy) -> None:
    copy.forge(argmax=Predictions.load(copy.npz).labels)


def _other_labels(copy: Copy) -> None:
    """Every label, and every prediction, of another class: the figures stay."""
    old = Predictions.load(copy.npz)
    copy.forge(labels=(old.labels + 1) % 10, argmax=(old.argmax + 1) % 10)


def _left_out(copy: Copy, keep: slice) -> None:
    old = Predictions.load(copy.npz)
    copy.forge(**{name: getattr(old, name)[keep] for name in ("ids", "labels", "argmax", "confidence", "log_prob")})


def _nothing(copy: Copy) -> None:
    _left_out(copy, slice(0, 0))
    copy.change(split__class_counts=[], split__test_counts=[], split__class_names=None, per_class={"correct": [], "total": []})


def _without_split(copy: Copy) -> None:
    """All test images but the first, in a record that says it had all of them."""
    _left_out(copy, slice(1, None))
    copy.change(protocol__per_class=None)


EDITED: dict[str, tuple[Damage, str]] = {
    "accuracy": (_digit, "metrics.accuracy.all: does not follow from the predictions"),
    "calibration": (_field(metrics__ece=0.01), "metrics.ece: does not follow"),
    "right predictions": (_field(per_class__correct=[10] * 10), "per_class.correct[0]: does not follow"),
    "training counts": (lambda copy: _counts(copy, "class_counts", 1), "split.class_counts[0]: must be "),
    "test counts": (lambda copy: _counts(copy, "test_counts", 1), "per_class.total must be equal to split.test_counts"),
    "negative counts": (lambda copy: _counts(copy, "class_counts", -1000), "split.class_counts[0] must be an integer >= 0"),
    "a class's name": (_field(split__class_names=[*"012", "drei", *"456789"]), "split.class_names[3]: must be '3' as the"),
    "too few names": (_field(split__class_names=["0"]), "split.class_names must be of 10 classes, got 1"),
    "too few classes": (_field(split__class_counts=[10, 10]), "split.test_counts must be of 2 classes, got 10"),
    "split": (_field(split__hash="0" * 64), "split.hash: must be "),
    "failed after all": (_field(status="failed", reason="it was bad"), "metrics: must be null for a failed run"),
    "no reason": (_field(status="diverged"), "reason must be given for a diverged run"),
    "reason": (_field(reason="none"), "reason: must be null for a completed run"),
    "no figures": (_field(metrics=None), "metrics must be given for a completed run"),
    "status": (_field(status="splendid"), "status must be one of"),
    "seed": (_field(task__seed=7), "task.seed: must be 0 as in predictions.file, got 7"),
    "seed and file": (_other_seed, "key: does not follow from task"),
    "ratio": (_field(task__imbalance_ratio=10.0), "split.class_counts"),
    "impossible ratio": (_field(task__imbalance_ratio=1e-200), "task: "),
    "impossible imbalance": (_field(task__imbalance="wild"), "task: digits-lt@20: imbalance must be one of exp, step"),
    "hyperparameter": (_field(stages__0__methods__0__hyperparameters__scale=99.0), "expression_hash: does not follow"),
    "hyperparameter and hash": (lambda copy: _rehashed(copy, stages__0__methods__0__hyperparameters__scale=99.0),
                                "stages[0].methods[0].hyperparameters.scale: must be 30.0 as the expression says, got 99.0"),
    "hyperparameter, hash and text": (
        lambda copy: _rehashed(copy, stages__0__methods__0__hyperparameters__scale=99.0, stages__0__expression="ldam(scale=99.0)",
                               expression="ldam(scale=99.0)/crt"), "key: does not follow from task, methods, hyperparameters"),
    "option that is none": (_field(stages__0__expression="ldam(scale=1)", expression="ldam(scale=1)/crt"),
                            "stages[0].methods[0].hyperparameters.scale: must be 1 as the expression says"),
    "expression": (_field(expression="ldam/lws"), "expression: must be 'ldam/crt' as its stages say, got 'ldam/lws'"),
    "stage": (_field(expression="ldam/lws", stages__1__expression="lws"), "stages[1].expression: must name the stage's methods"),
    "no stage": (_field(stages=[]), "stages: must hold at least one stage"),
    "learning rate": (_field(protocol__lr=0.5), "protocol.lr: must be "),
    "learning rate of a stage": (_field(stages__0__protocol__lr=0.5), "stages[0].protocol.lr: must be "),
    "noise of a stage": (_field(stages__1__protocol__eval_noise=0.5), "stages[1].protocol.eval_noise: must be 0.0"),
    "no settings of a stage": (_field(stages__1__protocol={}), "stages[1].protocol: Protocol.__init__() missing"),
    "overrides": (_field(stages__0__protocol_overrides={"lr": 9}), "stages[0].protocol_overrides: must be {} as its"),
    "paper in the common track": (_field(paper="ldam"), "paper: must be null in the common track"),
    "impossible protocol": (_field(protocol__epochs=0), "protocol: epochs must be an integer >= 1"),
    "protocol's name": (_field(protocol__name="common"), "protocol.epochs: must be "),
    "unknown protocol": (_field(protocol__name="best"), "protocol.name: must be one of"),
    "track": (_field(track="mine"), "track: must be one of common, paper"),
    "paper protocol": (_field(protocol__name="paper"), "protocol.name: must not be paper in the common track"),
    "precision": (_field(precision="bf16"), "key: does not follow"),
    "key": (_field(key="0" * 64), "key: does not follow"),
    "key that is none": (_field(key="best"), "key: must be a sha256"),
    "key of a stage": (_field(stages__0__key="0" * 64), "stages[0].key: does not follow"),
    "predictions' hash": (_field(predictions__sha256="0" * 64), "predictions.sha256: does not follow"),
    "epoch": (_field(curve__1__epoch=7), "curve[1].epoch: must be 2, got 7"),
    "last epoch": (_field(curve__1__epochs=7), "curve[1].epochs: must be 2"),
    "an epoch less": (_shorter, "curve: must have 2 epochs of stage 1 as its protocol says, got 1"),
    "no course": (_field(curve=[]), "curve: must have 2 epochs of stage 1 as its protocol says, got 0"),
    "longer than an epoch": (_field(stages__1__protocol__stage2_draws=1e308), "stages[1].protocol: "),
    "loss": (_field(curve__1__loss=None), "curve[1].loss: must be a number"),
    "moment within an epoch": (_field(curve__1__part=0.5), "curve[1].epoch: must be 1, got 2"),
    "moment twice": (lambda copy: _moments(copy, 0.5, 0.5), "curve[2].part: must be above 0.5 and below 1, got 0.5"),
    "moments measured": (_field(protocol__measure_every=0.5), "key: does not follow"),
    "images held out": (_field(split__held_out=[1] * 10), "split.held_out: must be None"),
    "images held out of nine classes": (_field(split__held_out=[1] * 9), "split.held_out must be of 10 classes, got 9"),
    "held out after all": (_field(protocol__hold_out=True), "protocol.hold_out: must be None"),
    "stage of the curve": (_field(curve__1__stage=9), "curve[1].stage: must be a stage from 1 to 2"),
    "all right": (_all_right, "predictions: confidence and log_prob of"),
    "confidence": (lambda copy: copy.forge(confidence=np.full(100, 0.01, dtype=np.float32)),
                   "predictions: confidence must be at least 1/10"),
    "other labels": (_other_labels, "predictions.labels: 100 labels are not the dataset's"),
    "every image left out": (_nothing, "predictions: must hold at least one image"),
    "image left out": (lambda copy: _left_out(copy, slice(0, -1)), "predictions.ids: 1 test images have no prediction"),
    "first image left out": (_without_split, "predictions: 40 test images are missing before the last"),
    "other images": (lambda copy: copy.forge(ids=Predictions.load(copy.npz).ids + 1000),
                     "predictions.ids: 100 predictions are of no test image"),
}


@pytest.mark.parametrize(("damage", "words"), EDITED.values(), ids=EDITED.keys())
def test_an_edited_record_is_refused(copy: Copy, refuse: Refuse, damage: Damage, words: str) -> None:
    damage(copy)
    lines = refuse()
    assert any(line.startswith(f"{copy.json}: {words}") for line in lines), lines


def test_there_are_more_than_25_kinds() -> None:
    from tests.trust.test_hostile_files import FILES, JSON, NPZ

    assert len(EDITED) + len(FILES) + len(JSON) + len(NPZ) > 95


def test_predictions_of_another_run_are_refused(copy: Copy, refuse: Refuse, smoke_runs: Path) -> None:
    shutil.copy(next(smoke_runs.glob("*_s1_*.npz")), copy.npz)
    assert f"{copy.json}: predictions.sha256: does not follow from the predictions" in refuse()


def test_a_diverged_run_may_not_keep_figures(copy: Copy, refuse: Refuse) -> None:
    copy.change(status="diverged", reason="loss is NaN", metrics=None)
    assert [line.split(": ")[1] for line in refuse()] == ["per_class", "predictions", "geometry"]


def test_two_records_of_one_run_that_differ_are_both_refused(copy: Copy, refuse: Refuse) -> None:
    shutil.copy(copy.json, copy.folder / "z.json")
    copy.change(curve__1__loss=0.25)
    first, second = refuse()
    assert first.startswith(f"{copy.json}: records ") and second.startswith(f"{copy.folder / 'z.json'}: records ")
    assert "are of one run (seed 0, split seed 0) and differ in curve[1].loss: neither is used" in first


def test_a_row_that_was_tuned_more_is_another_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for trials in ("1", "2"):
        assert main(["tune", "ce", "--trials", trials, "--protocol", "smoke", "--seeds", "0", "--cpu", "--out",
                     str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "runs")]) == 0
    told = capsys.readouterr().out
    assert "2 records: 0 refused" in told and "the same run as" not in told


def test_a_record_that_stands_twice_counts_once(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(copy.json, copy.folder / "z.json")
    assert main(["check", str(copy.folder)]) == 0
    assert f"z.json: warning: key: the same run as {copy.json}" in capsys.readouterr().out
