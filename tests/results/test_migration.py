"""No schema is older than the one that is written, so the older one here is made up: it called ``seed`` ``random_state``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.results import migration as record_migration
from ltbench.results import records
from ltbench.results.schema import SCHEMA
from tests.support import record_factory


def _older() -> dict[str, Any]:
    record = record_factory.record(schema=0)
    record["task"]["random_state"] = record["task"].pop("seed")
    return record


def _rename(record: dict[str, Any]) -> dict[str, Any]:
    task = {**record["task"]}
    task["seed"] = task.pop("random_state")
    return {**record, "task": task}


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(record_migration.STEPS, 0, _rename)


def _write(folder: Path, record: dict[str, Any]) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps(record))
    record_factory.predictions().save(folder / "run.npz")
    return path


@pytest.mark.usefixtures("step")
def test_an_older_record_is_read_as_one_of_today_and_its_file_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, _older())
    before = path.read_bytes()
    assert records.read(path).as_dict() == record_factory.record()
    assert [item.record.as_dict() for item in records.read_directory(tmp_path)[0]] == [record_factory.record()]
    main(["check", str(path)])
    assert f"{path}: note: schema: 0, read as {SCHEMA}" in capsys.readouterr().out
    assert path.read_bytes() == before


@pytest.mark.usefixtures("step")
def test_steps_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(record_migration.STEPS, -1, lambda record: {**record, "expression": record["text"]})
    oldest = {**_older(), "schema": -1, "text": "ce"}
    del oldest["expression"]
    assert record_migration.migrate(oldest) == {**record_factory.record(), "text": "ce"}


@pytest.mark.usefixtures("step")
@pytest.mark.parametrize("damage", [{"task": None}, {"task": {}}])
def test_a_damaged_older_record_is_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="schema must be 1, got 0"):
        records.read(_write(tmp_path, {**_older(), **damage}))


def test_what_no_step_leads_from_is_refused_in_one_line(tmp_path: Path) -> None:
    assert record_migration.STEPS == {}  # nothing is older than the first version
    with pytest.raises(UserError, match="record .*run.json: schema must be 1, got 0$"):
        records.read(_write(tmp_path, _older()))
    with pytest.raises(UserError, match="schema must be 1, got 2; a newer ltbench wrote it$"):
        records.read(_write(tmp_path, record_factory.record(schema=2)))
