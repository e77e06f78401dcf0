from __future__ import annotations

import os
import re

import pytest

from ltbench.errors import UserError
from ltbench.system.settings import data_workers
from tests.support.blocks import ROOT


@pytest.mark.parametrize(("cores", "processes", "expected"), [(2, None, 2), (64, None, 16), (64, "8", 8), (4, "8", 1)])
def test_workers_share_the_cores(cores: int, processes: str | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTBENCH_WORKERS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes or "1")
    assert data_workers() == expected


def test_workers_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    assert data_workers() == 0
    monkeypatch.setenv("LTBENCH_WORKERS", "-1")
    with pytest.raises(UserError, match="LTBENCH_WORKERS must be a number >= 0, got '-1'"):
        data_workers()


def test_every_variable_is_documented() -> None:
    sources = [path for folder in ("ltbench", "plugins") for path in (ROOT / folder).rglob("*.py")]
    read = {name for path in sources for name in re.findall(r"LTBENCH_[A-Z_]+", path.read_text(encoding="utf-8"))}
    told = re.findall(r"^\| `(LTBENCH_[A-Z_]+)` \|", (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(read)
