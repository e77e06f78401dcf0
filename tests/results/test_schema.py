from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ltbench.results import records
from ltbench.results.schema import Record
from ltbench.results.schema.published import json_schema, text
from ltbench.results.schema.validation import BrokenRecord, validate
from tests.support import record_factory

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "leaderboards").glob("*/results/*.json"))


def test_committed_records_come_out_byte_for_byte() -> None:
    assert len(COMMITTED) >= 54
    for path in COMMITTED:
        written = json.dumps(records.read(path).as_dict(), sort_keys=True, indent=1) + "\n"
        assert written == path.read_text(encoding="utf-8"), path


def test_unknown_fields_are_kept_and_absent_ones_stay_absent() -> None:
    curve = [{"epoch": 1, "loss": 2.5, "angle": 0.5}]
    value = record_factory.record(later={"a": [1, 2.5, None]}, task__later="x", curve=curve)
    record = validate(value)
    assert record.as_dict() == value
    assert record.tuning is None and record.tuning_trials == 0 and record.stages[0].protocol_overrides == {}
    assert not {"tuning", "tuning_trials", "cost"} & record.as_dict().keys()


def test_an_integer_stays_one() -> None:
    for ratio in (20, 20.0):
        record = validate(record_factory.record(task__imbalance_ratio=ratio))
        assert repr(record.as_dict()["task"]["imbalance_ratio"]) == repr(ratio)


@pytest.mark.parametrize(("changes", "problem"), [
    ({"task__seed": True}, "task.seed must be an integer, got True"),
    ({"task__seed": 2**63}, "task.seed must be an integer, got 9223372036854775808"),
    ({"task__imbalance_ratio": True}, "task.imbalance_ratio must be a number, got True"),
    ({"task__imbalance_ratio": math.nan}, "task.imbalance_ratio must be a number, got nan"),
    ({"task__imbalance_ratio": "20"}, "task.imbalance_ratio must be a number, got '20'"),
    ({"core__dirty": 1}, "core.dirty must be true or false, got 1"),
    ({"split__class_counts": (101, 100, 20, 19)}, "split.class_counts must be a list, got (101, 100, 20, 19)"),
    ({"curve": [{"epoch": "1"}]}, "curve[0].epoch must be an integer, got '1'"),
    ({"environment": {"libraries": []}}, "environment.libraries must be an object, got []"),
    ({"expression": "x" * 100, "key": 3}, "key must be a non-empty text, got 3"),
])
def test_types_are_strict(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BrokenRecord) as caught:
        validate(record_factory.record(**changes))
    assert caught.value.problems == [problem]


def test_the_published_schema_is_that_of_the_models() -> None:
    published = ROOT / "docs" / "record.schema.json"
    assert published.read_text(encoding="utf-8") == text(), f"python -m ltbench.results.schema.published {published}"


def _objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Record", schema
    yield from schema["$defs"].items()


def test_every_field_is_described() -> None:
    for name, part in _objects(json_schema()):
        assert part["description"].endswith("."), name
        for field, told in part["properties"].items():
            assert told.get("description", "").endswith((".", "``")), f"{name}.{field}"


def test_the_published_schema_by_hand() -> None:
    schema = json_schema()
    assert "schema" in schema["required"] and "geometry" not in schema["required"] and schema["additionalProperties"] is True
    assert schema["properties"]["schema"]["const"] == 1
    task = schema["$defs"]["RecordedTask"]
    assert task["required"] == ["dataset", "imbalance_ratio", "imbalance", "split_seed", "seed"]
    assert task["properties"]["imbalance_ratio"]["anyOf"] == [{"type": "number"}, {"type": "null"}]
    counts = schema["$defs"]["RecordedSplit"]["properties"]["class_counts"]
    assert counts["items"] == {"type": "integer", "minimum": 0} and "shape (C,)" in counts["description"]
    accuracy = schema["$defs"]["ShotAccuracy"]["properties"]["few"]
    assert accuracy["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 100}


def test_a_record_is_built_by_attribute_too() -> None:
    record = record_factory.model()
    record.metrics = None
    assert record.as_dict()["metrics"] is None
    with pytest.raises(BrokenRecord, match="metrics must be given for a completed run, got None"):
        validate(record.as_dict())
    assert isinstance(record, Record)
