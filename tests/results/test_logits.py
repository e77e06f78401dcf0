"""Logits beside a record: kept where asked for, read again, and checked against the predictions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import ltbench
from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.planning.request import parse_keep
from ltbench.results import records
from ltbench.results.logits import contradictions, load_logits, pack_logits
from ltbench.results.predictions import Predictions


def _run(folder: Path, *arguments: str) -> Path:
    options = ["--protocol", "smoke", "--seeds", "0", "--methods", "ce/post_la", "--cpu", "--threads", "1"]
    assert main(["run", *options, "--out", str(folder), "--cache", str(folder / "cache"), *arguments]) == 0
    (record,) = folder.glob("*.json")
    return record


def _check(record: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(["check", str(record)])
    return code, capsys.readouterr().out.splitlines()


def test_contradictions_by_hand() -> None:
    """Two classes at logits 0 and ln 3 have probabilities 1/4 and 3/4."""
    logits = np.array([[0, np.log(3)], [np.log(3), 0]], dtype=np.float32)
    ids, labels = np.array([4, 9]), np.array([1, 1])
    confidence = np.array([0.75, 0.75], dtype=np.float32)
    log_prob = np.log(np.array([0.75, 0.25])).astype(np.float32)
    sound = Predictions(ids, labels, np.array([1, 0]), confidence, log_prob)
    assert list(contradictions(logits, sound)) == []
    assert list(contradictions(logits + 50, sound)) == []  # a softmax does not see what all classes share
    assert list(contradictions(logits, Predictions(ids, labels, np.array([1, 1]), confidence, log_prob))) == [("argmax", 9)]
    lower = np.array([0.74, 0.75], dtype=np.float32)
    assert list(contradictions(logits, Predictions(ids, labels, np.array([1, 0]), lower, log_prob))) == [("confidence", 4)]
    assert list(contradictions(logits, Predictions(ids, labels, np.array([1, 0]), confidence, log_prob - 1))) == [("log_prob", 4)]
    broken = np.full((2, 2), np.nan, dtype=np.float32)
    assert [name for name, _ in contradictions(broken, sound)] == ["argmax", "confidence", "log_prob"]


@pytest.mark.parametrize(("text", "found"), [
    ("statistics", ("statistics", False)), ("predictions=logits", ("statistics", True)),
    ("features, predictions=logits", ("features", True)), ("predictions=logits,nothing", ("nothing", True)),
])
def test_what_is_kept_is_read(text: str, found: tuple[str, bool]) -> None:
    assert parse_keep(text) == found


@pytest.mark.parametrize("text", ["", "all", "statistics,features", "predictions=logits,predictions=logits", "logits"])
def test_what_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--keep must be nothing, statistics or features, or predictions=logits, or one of them"):
        parse_keep(text)


def test_a_run_keeps_logits_where_it_is_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = _run(tmp_path)
    before = record.read_bytes()
    assert "logits" not in json.loads(before)
    assert load_logits(record, records.read(record)) is None
    _run(tmp_path, "--keep", "predictions=logits")  # run again: the record holds less than is asked
    read = records.read(record)
    logits = load_logits(record, read)
    predictions = records.load_predictions(record, read)
    assert logits is not None and predictions is not None and read.geometry is not None
    assert logits.shape == (100, 10) and logits.dtype == np.float32
    assert (logits.argmax(axis=1) == predictions.argmax).all() and list(contradictions(logits, predictions)) == []
    assert records.equal(read, ltbench.Record.model_validate(json.loads(before))) == []  # it says nothing of what came out
    code, lines = _check(record, capsys)
    assert code == 0 and not any(": logits" in line or "predictions" in line for line in lines)
    time = record.stat().st_mtime_ns
    _run(tmp_path, "--keep", "predictions=logits")
    assert record.stat().st_mtime_ns == time  # it has what is asked for
    _run(tmp_path, "--keep", "nothing", "--rerun")
    assert [path.name for path in tmp_path.glob("*.npz")] == [f"{record.stem}.npz"]


def test_logits_of_other_predictions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = _run(tmp_path, "--keep", "nothing,predictions=logits")
    file = tmp_path / f"{record.stem}.logits.npz"
    logits = load_logits(record, records.read(record))
    assert logits is not None

    def forge(changed: np.ndarray) -> None:
        """Replace the logits and their hash, as a careful forger would."""
        file.write_bytes(pack_logits(changed))
        value = json.loads(record.read_text())
        value["logits"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        record.write_text(json.dumps(value))

    first = records.load_predictions(record, records.read(record)).ids[0]
    other = logits.copy()
    other[0, logits[0].argmin()] = logits[0].max() + 1
    forge(other)
    code, lines = _check(record, capsys)
    assert code == 1
    assert f"{record}: predictions.argmax: does not follow from {file.name}, first image {first}" in lines
    forge(logits[:, :9])
    assert "it must hold float32 of shape (100, 10), got float32 of shape (100, 9)" in _check(record, capsys)[1][0]
    forge(logits)
    assert _check(record, capsys)[0] == 0
    file.write_bytes(pack_logits(other))
    assert "its hash is not the record's" in _check(record, capsys)[1][0]
    file.write_bytes(b"PK")
    assert _check(record, capsys)[0] == 1
    with pytest.raises(UserError, match="cannot be read: "):
        load_logits(record, records.read(record))
    file.unlink()
    code, lines = _check(record, capsys)
    assert code == 0 and f"{record}: warning: logits: {file.name} is not there" in lines
