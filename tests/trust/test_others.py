"""What records say against each other, each of them sound by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import main
from ltbench.results.predictions import Predictions
from ltbench.results.schema import Record
from ltbench.trust.others import Sound, check_others
from tests.support.real_records import Copy, Refuse
from tests.support.record_factory import predictions, record


def _lines(*values: dict[str, Any], tested: str = "aaaa") -> list[str]:
    """Files are a.json, b.json, ...; a letter of ``tested`` is a hash of test images and labels."""
    sound = [Sound(Path(f"{chr(97 + i)}.json"), Record.model_validate(value), tested[i]) for i, value in enumerate(values)]
    return [f"{path} {remark.level} {remark.field}: {remark.message}" for path, remark in check_others(sound)]


def _seed(seed: int, **changes: Any) -> dict[str, Any]:
    return record(task__seed=seed, key=f"{seed:064x}", **changes)


def test_equal_predictions_of_two_seeds_are_told_of_a_row_that_was_trained() -> None:
    assert _lines(_seed(0), _seed(1), _seed(2) | {"expression": "la"}) == [
        "b.json warning predictions: are to the last bit those of a.json, which is of another seed: what another seed trains "
        "predicts otherwise"]
    assert _lines(_seed(0), record(predictions(right=(3, 3, 1, 0)), task__seed=1)) == []


def test_class_means_on_frozen_weights_are_the_same_for_every_seed() -> None:
    stages = record()["stages"] + [{**record()["stages"][0], "expression": "ncm", "inputs": "none"}]
    given = {"external": "ab" * 32, "stages": stages, "pretraining": {"kind": "weights", "source": "file", "sha256": "ab" * 32}}
    assert _lines(_seed(0, **given), _seed(1, **given)) == []
    tuned = {**given, "pretraining": {**given["pretraining"], "tune": "all"}}
    assert len(_lines(_seed(0, **tuned), _seed(1, **tuned))) == 1


def test_other_labels_of_one_split_are_refused() -> None:
    values = _seed(0), _seed(1, expression="la"), _seed(2, split__hash="cd" * 32)
    message = ("error : records a.json and b.json are of one split (abababababab) and differ in predictions.labels: "
               "neither is used")
    assert [line for line in _lines(*values, tested="xyz") if " error " in line] == [f"a.json {message}", f"b.json {message}"]
    assert _lines(_seed(0), _seed(1, expression="la", split__images="cd"), tested="xy") == []  # other images of that name


def test_other_counts_of_one_split_are_refused() -> None:
    other = _seed(1, expression="la")
    other["split"]["class_counts"] = [101, 100, 20, 18]
    assert [line.split(":")[0] for line in _lines(_seed(0), other)] == ["a.json error ", "b.json error "]


def test_runs_of_other_code_are_told() -> None:
    changed = record(predictions(right=(3, 3, 1, 0)), task__seed=1)
    changed["stages"][0]["methods"][0]["sources"] = {"ce.py": "bb"}
    told = "json warning stages: another row ran other code: ce.py"
    assert sorted(_lines(_seed(0), changed)) == [f"a.{told}", f"b.{told}"]


def test_labels_that_no_dataset_here_confirms(copy: Copy, refuse: Refuse, smoke_runs: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    """Labels and predictions turned alike change no figure: only another record of the split shows it."""
    for path in smoke_runs.glob("*_s1_*"):
        shutil.copy(path, copy.folder)
    (second,) = copy.folder.glob("*_s1_*.json")
    for one in (copy, Copy(copy.folder, second, second.with_suffix(".npz"))):
        one.change(task__dataset="elsewhere")
    assert main(["check", str(copy.folder)]) == 0
    old = Predictions.load(copy.npz)
    copy.forge(labels=(old.labels + 1) % 10, argmax=(old.argmax + 1) % 10)
    lines = refuse()
    assert len(lines) == 2 and all("differ in predictions.labels: neither is used" in line for line in lines)
