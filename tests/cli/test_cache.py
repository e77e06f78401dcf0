from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.training.store import StageStore


def test_the_cache_says_who_holds_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = StageStore(tmp_path, 0)
    with store.lock("aa1", "stage 1 of ce"):
        stale = tmp_path / "leases" / "bb2" / "0123"  # of an owner of whom nothing is known,
        for folder in (store.path("aa1"), store.path("bb2"), stale.parent):
            folder.mkdir(parents=True, exist_ok=True)
        stale.touch()
        os.utime(stale, (0, 0))  # and that has been silent for long
        for key in ("aa1", "bb2"):
            (store.path(key) / "checkpoint.safetensors").write_bytes(b"x" * 600_000)
        assert main(["cache", "ls", "--json", "--cache", str(tmp_path)]) == 0
        rows = {row.pop("key"): row for row in json.loads(capsys.readouterr().out)}
        assert all(row.pop("used") for row in rows.values())
        assert rows == {
            "aa1": {"what": "unfinished: stage 1 of ce", "megabytes": "0.6",
                    "held": f"process {os.getpid()} of this machine has had it for 0 s"},
            "bb2": {"what": "unfinished", "megabytes": "0.6",
                    "held": "stale: process unknown of another machine has had it for 0 s"}}
        assert main(["cache", "prune", "--to", "0", "--cache", str(tmp_path)]) == 0
        assert capsys.readouterr().out == "removed 1 stages, 0.6 MB\n"
        assert [path.name for path in (tmp_path / "stages").glob("??/*")] == ["aa1"]
