"""Real records of smoke runs on digits, to be checked, damaged and run again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from ltbench.cli.main import main
from ltbench.results.metrics import standard_metrics
from ltbench.results.predictions import Predictions

EXPRESSION = "ldam/crt"
Refuse: TypeAlias = Callable[..., list[str]]


@dataclass(frozen=True)
class Copy:
    """A folder with one real record, to be damaged."""

    folder: Path
    json: Path
    npz: Path

    def record(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.json.read_text())
        return value

    def save(self, record: Any) -> None:
        self.json.write_text(json.dumps(record))

    def change(self, **changes: Any) -> None:
        """Set fields; dots are written with two underscores, and positions in lists as numbers."""
        record = self.record()
        for path, value in changes.items():
            *parents, last = (int(part) if part.isdigit() else part for part in path.split("__"))
            inner: Any = record
            for part in parents:
                inner = inner[part]
            inner[last] = value
        self.save(record)

    def forge(self, **arrays: Any) -> None:
        """Replace predictions, and every figure and hash with what follows from them: as a careful forger would."""
        old = Predictions.load(self.npz)
        given = Predictions(**{name: arrays.get(name, getattr(old, name)) for name in
                               ("ids", "labels", "argmax", "confidence", "log_prob")})
        given.save(self.npz)
        record = self.record()
        counts = record["split"]["class_counts"]
        right = given.labels[given.argmax == given.labels].tolist()
        record["per_class"] = {"correct": [right.count(k) for k in range(10)],
                               "total": [given.labels.tolist().count(k) for k in range(10)]}
        record["split"]["test_counts"] = record["per_class"]["total"]
        record["metrics"] = {**standard_metrics(given, counts), "extra": record["metrics"]["extra"]}
        record["predictions"]["sha256"] = given.sha256()
        self.save(record)


Damage: TypeAlias = Callable[[Copy], object]


@pytest.fixture(scope="session")
def smoke_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with records of three seeds on digits."""
    folder = tmp_path_factory.mktemp("smoke")
    arguments = ["run", "--cpu", "--protocol", "smoke", "--methods", EXPRESSION, "--out", str(folder / "runs")]
    assert main([*arguments, "--cache", str(folder / "cache"), "--threads", "1"]) == 0
    return folder / "runs"


@pytest.fixture
def copy(smoke_runs: Path, tmp_path: Path) -> Copy:
    """Return a folder of one's own with the first of the records."""
    folder = tmp_path / "results"
    folder.mkdir()
    for path in smoke_runs.glob("*_s0_*"):
        shutil.copy(path, folder)
    (record,) = folder.glob("*.json")
    return Copy(folder, record, record.with_suffix(".npz"))


def fingerprint(folder: Path) -> str:
    """Hash names, kinds, times of change and contents of everything below a folder; links and pipes are not opened."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        digest.update(repr((str(path), state.st_mode, state.st_size, state.st_mtime_ns)).encode())
        if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture
def refuse(copy: Copy, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Return a function that checks the folder, demands a refusal that changes nothing, and returns the lines of it."""

    def call(*arguments: str) -> list[str]:
        before = fingerprint(copy.folder)
        capsys.readouterr()
        code = main(["check", str(copy.folder), *arguments])
        told = capsys.readouterr()
        assert code == 1, told
        assert told.err == ""
        assert fingerprint(copy.folder) == before
        lines = told.out.splitlines()
        assert all(line.isprintable() for line in lines)
        assert "Traceback" not in told.out and " refused, " in lines[-1]
        return [line for line in lines[:-1] if ": warning: " not in line and ": note: " not in line]

    return call
