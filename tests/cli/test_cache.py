from __future__ import annotations

import json
import os
import re
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
        told = re.sub(r"has had it for \d+ s", "has had it", capsys.readouterr().out)  # a busy machine takes seconds
        rows = {row.pop("key"): row for row in json.loads(told)}
        assert all(row.pop("used") for row in rows.values())
        assert rows == {
            "aa1": {"what": "unfinished: stage 1 of ce", "megabytes": "0.6",
                    "held": f"process {os.getpid()} of this machine has had it"},
            "bb2": {"what": "unfinished", "megabytes": "0.6",
                    "held": "stale: process unknown of another machine has had it"}}
        assert main(["cache", "prune", "--to", "0", "--cache", str(tmp_path)]) == 0
        assert capsys.readouterr().out == "removed 1 stages, 0.6 MB\n"
        assert [path.name for path in (tmp_path / "stages").glob("??/*")] == ["aa1"]


def test_what_a_run_leaves_is_listed_and_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    assert main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "ce"]) == 0
    capsys.readouterr()
    assert main(["cache", "ls"]) == 0
    assert "stage 1 of ce on digits-lt" in capsys.readouterr().out
    assert main(["cache", "prune", "--to", "0"]) == 0
    assert "removed 1 stages" in capsys.readouterr().out
    assert main(["cache", "prune", "--to", "many"]) == 2
