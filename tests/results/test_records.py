from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.errors import UserError
from ltbench.results import records
from ltbench.results.label_shift import label_shift
from ltbench.results.schema import CurveRow, Record
from tests.support import record_factory


def _write(directory: Path, name: str = "run", **changes: Any) -> Path:
    given = record_factory.predictions()
    return record_factory.write(record_factory.record(given, **changes), given, directory, name)


def test_written_and_read_are_the_same(tmp_path: Path) -> None:
    given = record_factory.predictions()
    path = record_factory.write(record_factory.record(given), given, tmp_path / "new" / "folder", "run")
    assert path == tmp_path / "new" / "folder" / "run.json"
    assert records.read(path).as_dict() == record_factory.record(given)
    loaded = records.load_predictions(path, records.read(path))
    assert loaded is not None and loaded.sha256() == given.sha256()
    assert sorted(file.name for file in path.parent.iterdir()) == ["run.json", "run.npz"]


def test_text_is_sorted_indented_and_without_nan(tmp_path: Path) -> None:
    given, record = record_factory.predictions(), record_factory.model()
    record.curve[0].loss, record.curve[0].rate = math.nan, math.inf
    path = records.write(record, given, tmp_path, "run")
    text = path.read_text()
    assert text.startswith('{\n "core": {\n  "commit": null,') and text.endswith("}\n")
    assert [row.as_dict() for row in records.read(path).curve] == [{"epoch": 1, "loss": None, "rate": None}]


def test_the_same_record_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = _write(tmp_path / "a"), _write(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".npz").read_bytes() == second.with_suffix(".npz").read_bytes()


def test_a_broken_run_has_a_record_and_no_predictions(tmp_path: Path) -> None:
    _write(tmp_path)
    path = record_factory.write(record_factory.broken("diverged"), None, tmp_path, "run")
    assert records.read(path).status == "diverged"
    assert records.load_predictions(path, records.read(path)) is None
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]  # no predictions of the record that was replaced


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = _write(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(UserError, match="output folder must be writable, got .*: No space left on device"):
        _write(tmp_path, reason="again")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert records.read(path).reason is None


def test_a_crash_never_leaves_a_record_with_other_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path)
    other = record_factory.predictions(right=(3, 3, 3, 3))
    replace = os.replace

    def crash(source: Path, target: Path) -> None:
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        record_factory.write(record_factory.record(other), other, tmp_path, "run")
    assert not path.exists()


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="output folder must be writable"):
        _write(tmp_path / "file")


@pytest.mark.parametrize("name", ["", "../run", ".hidden", "a/b", "a\\b"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name must be a plain file name"):
        _write(tmp_path, name)


def test_writing_a_record_that_could_not_be_read_is_refused(tmp_path: Path) -> None:
    record = record_factory.model()
    record.status = "done"
    with pytest.raises(ValueError, match="status must be one of completed, diverged, failed, got 'done'"):
        records.write(record, record_factory.predictions(), tmp_path, "run")
    assert list(tmp_path.iterdir()) == []


SHIFT = {"accuracy": 50.0, "images": 4, "classes": 2, "sha256": "ab"}
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"schema": 2}, "schema must be 1, got 2"),
    ({"schema": True}, "schema must be 1, got True"),
    ({"expression": ""}, "expression must be a non-empty text, got ''"),
    ({"selection": "test"}, "selection must be 'last' or 'val' unless the record is external, got 'test'"),
    ({"selection": "best"}, "selection must be one of last, val, test, got 'best'"),
    ({"task__seed": 1.5}, "task.seed must be an integer, got 1.5"),
    ({"task": []}, r"task must be an object, got \[\]"),
    ({"split__class_counts": [1, 2, 3, -4]}, r"split.class_counts\[3\] must be an integer >= 0, got -4"),
    ({"split__class_counts": [1, 2, 3]}, "split.test_counts must be of 3 classes, got 4"),
    ({"per_class__correct": [3, 2, 1]}, "per_class.correct must be of 4 classes, got 3"),
    ({"per_class__correct": [4, 2, 1, 0]}, "per_class.correct must be at most per_class.total in every class"),
    ({"per_class__total": [4, 3, 3, 3]}, "per_class.total must be equal to split.test_counts"),
    ({"metrics__accuracy__all": 100.5}, r"metrics.accuracy.all must be a number in \[0, 100\], got 100.5"),
    ({"metrics__ece": "low"}, r"metrics.ece must be a number in \[0, 1\], got 'low'"),
    ({"metrics__label_shift": {"built": {"forward": SHIFT}}}, "metrics.label_shift.built: a label shift must be forward or"),
    ({"metrics__label_shift": {"built": {"forward2": {**SHIFT, "accuracy": 101}}}},
     r"metrics.label_shift.built.forward2.accuracy must be a number in \[0, 100\], got 101"),
    ({"metrics__label_shift": {"published": {"forward2": SHIFT}}}, "metrics.label_shift.published.forward2.members is missing"),
    ({"metrics__label_shift": []}, r"metrics.label_shift must be an object, got \[\]"),
    ({"metrics": None}, "metrics must be given for a completed run, got None"),
    ({"status": "failed"}, "reason must be given for a failed run, got None"),
    ({"predictions__file": "../../secret.npz"}, "predictions.file must be the name of an .npz file next to the record"),
    ({"predictions__file": "/tmp/run.npz"}, "predictions.file must be the name of an .npz file next to the record"),
    ({"stages": [{"expression": "ce"}]}, r"stages\[0\].key is missing; stages\[0\].inputs is missing"),
    ({"external": 3}, "external must be a non-empty text, got 3"),
    ({"timing__seconds": {"stage 1": -1}}, r"timing.seconds.stage 1 must be a number in \[0, 1e\+12\], got -1"),
]


@pytest.mark.parametrize(("changes", "problem"), BROKEN)
def test_a_broken_field_is_named_with_its_file(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record_factory.record(**changes)))
    with pytest.raises(UserError, match=problem) as caught:
        records.read(path)
    assert str(caught.value).startswith(f"record {path}: ") and "\n" not in str(caught.value)


def test_every_field_is_needed(tmp_path: Path) -> None:
    for name in record_factory.record().keys() - {"geometry"}:  # records of before geometry are sound
        value = record_factory.record()
        del value[name]
        (tmp_path / "run.json").write_text(json.dumps(value))
        with pytest.raises(UserError, match=f"{name} is missing"):
            records.read(tmp_path / "run.json")


def test_test_selection_is_accepted_from_outside_reports(tmp_path: Path) -> None:
    assert records.read(_write(tmp_path, selection="test", external="their table 3")).selection == "test"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read"),
        ('{"schema": 1', "cannot be read"),
        ('{"schema": NaN}', "every number must be finite, got NaN"),
        ('{"schema": 1e999}', "every number must be finite, got 1e999"),
        ("[" * 100_000, "cannot be read"),
        ("9" * 5_000, "cannot be read"),
        ("3", "the record must be an object, got 3"),
    ],
)
def test_what_is_no_record_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(UserError, match=problem) as caught:
        records.read(path)
    assert "\n" not in str(caught.value)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path)
    monkeypatch.setattr("ltbench.results.reading.MAX_BYTES", 1000)
    with pytest.raises(UserError, match="it must be at most 1000 bytes"):
        records.read(path)


def test_a_folder_is_read_around_its_broken_files(tmp_path: Path) -> None:
    good = [_write(tmp_path, "a"), _write(tmp_path / "deep" / "er", "b")]
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.json").write_text(json.dumps(record_factory.record(schema=7)))
    (tmp_path / "package.json").write_text('{"name": "something else"}')
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "e.json").write_text("{")
    found, problems = records.read_directory(tmp_path)
    assert [item.path for item in found] == good
    assert len(problems) == 2 and "c.json" in problems[0] and "schema must be 1, got 7" in problems[1]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="record folder must exist"):
        records.read_directory(tmp_path / "runs")


def test_equal_ignores_circumstances_only() -> None:
    a = record_factory.model()
    b = a.model_copy(deep=True)
    b.timing.seconds = {"stage 1": 99.0}
    b.environment.threads = 8
    assert records.equal(a, b) == []
    assert set(a.as_dict()) - set(records.comparable(a)) == {"timing", "environment", "geometry"}
    b.stages[0].methods[0].hyperparameters["tau"] = 1.0
    b.metrics.accuracy.few = None
    b.curve.append(CurveRow())
    b.core.dirty = True
    assert records.equal(a, b) == ["core.dirty", "curve", "metrics.accuracy.few", "stages[0].methods[0].hyperparameters.tau"]


def test_a_record_follows_from_its_predictions(tmp_path: Path) -> None:
    path = _write(tmp_path)
    record = records.read(path)
    record.metrics.extra = {"angle": 3.0}  # a plugin's figure, which the core cannot recompute
    predictions = records.load_predictions(path, record)
    assert predictions is not None
    assert records.verify(record, predictions) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metrics__accuracy__all", 50.00000001),
        ("metrics__ece", 0.01),
        ("metrics__test_loss", None),
        ("per_class__correct", [3, 2, 2, 0]),
    ],
)
def test_a_tampered_figure_is_named(field: str, value: Any) -> None:
    problems = records.verify(record_factory.model(**{field: value}), record_factory.predictions())
    assert len(problems) == 1 and problems[0].field.startswith(field.replace("__", ".")) and "does not follow" in str(problems[0])


def _shifted() -> dict[str, Any]:
    given = record_factory.predictions()
    figures = label_shift(given, record_factory.CLASS_COUNTS, (2, 3), {"forward2": np.array([0, 3, 4, 5, 9])}, 0)
    return record_factory.record(given, metrics__label_shift=figures)


def test_accuracy_under_label_shift_follows_from_the_predictions(tmp_path: Path) -> None:
    given = record_factory.predictions()
    path = record_factory.write(_shifted(), given, tmp_path, "run")
    record = records.read(path)
    assert record.as_dict() == {**_shifted(), "predictions": record.predictions.as_dict()}
    assert records.verify(record, given) == []


@pytest.mark.parametrize(("shift", "field", "value", "named"), [
    ("built.forward3", "accuracy", 99.0, ".accuracy"),
    ("built.backward2", "sha256", "ab" * 32, ".sha256"),
    ("published.forward2", "images", 6, ".images"),
    ("published.forward2", "members", "OQ==", ""),  # one byte for twelve images
    ("published.forward2", "members", "OfI=", ".members"),  # bits of images that there are not
])
def test_a_tampered_shift_is_named(shift: str, field: str, value: Any, named: str) -> None:
    record = _shifted()
    source, name = shift.split(".")
    record["metrics"]["label_shift"][source][name][field] = value
    problems = records.verify(Record.model_validate(record), record_factory.predictions())
    assert [str(problem) for problem in problems] == [
        f"metrics.label_shift.{shift}{named} does not follow from the predictions"]


def test_a_built_set_follows_from_the_split_seed() -> None:
    record = _shifted()
    record["task"]["split_seed"] = 2
    fields = [problem.field for problem in records.verify(Record.model_validate(record), record_factory.predictions())]
    assert "metrics.label_shift.built.forward3.sha256" in fields
    assert not any("published" in field for field in fields)


def test_other_predictions_are_noticed() -> None:
    problems = [str(one) for one in records.verify(record_factory.model(), record_factory.predictions(right=(3, 2, 1, 1)))]
    assert "predictions.sha256 does not follow from the predictions" in problems
    assert "metrics.accuracy.few does not follow from the predictions" in problems
    few_classes = record_factory.model(split__class_counts=[5, 5])
    assert [str(problem) for problem in records.verify(few_classes, record_factory.predictions())] == [
        "predictions: labels must be below 2, got 3"]
