from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.cli import show
from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry
from ltbench.results.label_shift import label_shift
from tests.support import record_factory


def _call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    show.register(parser.add_subparsers(required=True))
    parser.set_defaults(registry=load_registry())
    args = parser.parse_args(["show", *arguments])
    status: int = args.run(args)
    return status


def _write(directory: Path, **changes: Any) -> str:
    given = record_factory.predictions()
    return str(record_factory.write(record_factory.record(given, **changes), given, directory, "run"))


def test_what_must_be_known_of_the_dataset_stands_beside_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(_write(tmp_path, task__dataset="cifar100-lt")) == 0
    assert ("note: 10 of the 10,000 test images of CIFAR-100 stand among its 50,000 training images too, 6 of them under another "
            "class") in capsys.readouterr().out.splitlines()


def test_a_record_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stages = record_factory.record()["stages"]
    stages[0]["methods"][0]["hyperparameters"] = {"tau": 1.5, "distance": "cosine"}
    stages[0]["protocol_overrides"] = {"weight_decay": 0.005}
    assert _call(_write(tmp_path, stages=stages)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "ce on digits-lt@20, seed 0, split seed 0",
        "status: completed",
        "track: common, selection: last, precision: fp32",
        "stage 1: ce(weight_decay=0.005)",
        "  ce(distance=cosine, tau=1.5) from ltbench 0.1.0",
        next(line for line in lines if line.startswith("protocol: ")),
    ]
    assert "batch_size=128" in lines[5] and "epochs=16" in lines[5]
    assert f"split: 4 classes of 101 to 19 training images, 240 in all; 12 test images; exp; sha256 {'ab' * 32}" in lines
    assert {"accuracy.many: 100.0000", "accuracy.few: 0.0000", "test_loss: 1.0000"} <= set(lines)
    assert "seconds: evaluation=2.5, stage 1=10.0" in lines
    assert lines[-1] == "verified: every figure follows from the 12 predictions"


def test_figures_of_a_choice_say_over_how_many_classes_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = record_factory.record()
    tuning: dict[str, Any] = {
        "expression": "ce", "space": {"ce.x": {"kind": "uniform", "low": 0.0, "high": 1.0}},
        "sampler": {"name": "tpe", "seed": 0, "optuna": "5.0.0"}, "budget": {"trials": 2, "protocol": value["protocol"]},
        "validation": {"source": "held out", "counts": [20, 20, 4, 0], "sha256": "ab" * 32}, "chosen": 1,
        "trials": [{"values": {"ce.x": 0.5}, "score": None, "status": "refused"},
                   {"values": {"ce.x": 0.25}, "score": 62.5, "status": "completed"}],
    }
    for last, said in ((0, ", over 3 of 4 classes: the others have no validation image"), (3, "")):
        tuning["validation"]["counts"][3] = last
        assert _call(_write(tmp_path, tuning=tuning)) == 0
        assert f"tuned: ce.x; trials: 2; best: 62.50 % of the validation part{said}" in capsys.readouterr().out.splitlines()
    told = "over 3 of 4 classes: the others have no held-out image"
    path = _write(tmp_path, split__held_out=[20, 20, 4, 0])
    assert _call(path) == 0 and f"figures on held-out images are {told}" in capsys.readouterr().out.splitlines()
    assert _call(_write(tmp_path, split__held_out=[20, 20, 4, 3])) == 0 and "held-out" not in capsys.readouterr().out


def test_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(_write(tmp_path), "--classes") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row[0].isdigit()] == [
        ["0", "101", "3", "3", "100.0"],
        ["1", "100", "2", "3", "66.7"],
        ["2", "20", "1", "3", "33.3"],
        ["3", "19", "0", "3", "0.0"],
    ]


def test_classes_have_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(_write(tmp_path, split__class_names=["cat", "dog", "emu", "fox"]), "--classes") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["class", "name", "training", "images", "right", "test", "images", "accuracy"] in rows
    assert ["1", "dog", "100", "2", "3", "66.7"] in rows


def test_accuracy_under_label_shift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = {"backward3": np.array([0, 3, 4, 5, 9])}  # of which 0, 3 and 4 are right
    figures = label_shift(record_factory.predictions(), record_factory.CLASS_COUNTS, (2, 3), published, 0)
    assert _call(_write(tmp_path, metrics__label_shift=figures)) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("label shift"))
    rows = [line.split() for line in lines[start + 2:start + 6]]
    assert [row[0] for row in rows] == ["forward3", "forward2", "backward2", "backward3"]
    assert rows[3] == ["backward3", "60.0000", "5", "3", "published", figures["published"]["backward3"]["sha256"]]
    assert rows[0][2:5] == ["7", "4", "built"]
    assert not any(line.startswith("label_shift") for line in lines)
    assert lines[-1] == "verified: every figure follows from the 12 predictions"


def test_a_set_of_either_source_has_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures: dict[str, Any] = label_shift(record_factory.predictions(), record_factory.CLASS_COUNTS, (2,),
                                          {"forward2": np.array([0])}, 0)
    figures |= {"built": {"forward2": {"accuracy": None, "images": 0, "classes": 0, "sha256": "x\x1b[2J"}}, "later": "unknown"}
    assert _call(_write(tmp_path, metrics__label_shift=figures)) == 1
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines() if line.startswith("forward2 ")]
    assert [(row[1], row[4]) for row in rows] == [("100.0000", "published"), ("—", "built")]
    assert "\x1b" not in out and "warning: metrics.label_shift.later does not follow" in err


def test_a_diverged_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_factory.write(record_factory.broken("diverged"), None, tmp_path, "run")
    assert _call(str(path), "--classes") == 0
    out = capsys.readouterr().out
    assert "status: diverged (loss is NaN)" in out and "verified" not in out
    assert "no figures of the classes: the run did not complete" in out


def test_json_is_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(_write(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == record_factory.record()


def test_a_tampered_record_is_shown_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, metrics__accuracy__few=90.0)
    assert _call(path) == 1
    out, err = capsys.readouterr()
    assert "accuracy.few: 90.0000" in out and "verified" not in out
    assert err == "warning: metrics.accuracy.few does not follow from the predictions\n"


def test_missing_predictions_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path)
    (tmp_path / "run.npz").unlink()
    assert _call(path) == 1
    assert "No such file" in capsys.readouterr().err


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _call(_write(tmp_path, expression="ce\x1b[2J\nverified: all")) == 0
    assert capsys.readouterr().out.startswith("ce [2J verified: all on digits-lt")


def test_a_missing_record_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"record .*none\.json cannot be read: No such file or directory"):
        _call(str(tmp_path / "none.json"))
