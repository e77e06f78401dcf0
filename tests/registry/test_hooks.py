"""Every hook is documented, used by a plugin that comes with ltbench, and tested."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import ltbench
from ltbench.cli import main as program
from ltbench.method import from_file
from ltbench.registry import hookspecs
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from ltbench.registry.run_info import RunInfo
from ltbench.running.tracking import Tracking

HOOKS = [name for name in vars(hookspecs) if name.startswith("ltbench_")]
TESTS = Path(__file__).resolve().parents[1]


def test_the_hooks_are_what_pluggy_knows() -> None:
    manager = load_registry(strict=False).manager
    assert sorted(HOOKS) == sorted(name for name in vars(manager.hook) if name.startswith("ltbench_"))


@pytest.mark.parametrize("name", HOOKS)
def test_it_is_documented(name: str) -> None:
    hook = getattr(hookspecs, name)
    text = inspect.getdoc(hook) or ""
    assert text.partition("\n")[0].endswith("."), "the first line is a sentence"
    arguments = inspect.signature(hook).parameters
    assert len(arguments) < 3 or all(f"{argument}:" in text for argument in arguments)


@pytest.mark.parametrize("name", HOOKS)
def test_a_plugin_that_comes_with_ltbench_uses_it(name: str) -> None:
    manager = load_registry(strict=False).manager
    manager.register(Tracking("tensorboard", Path("tracking")), "ltbench:tracking")  # as --track-with does
    users = getattr(manager.hook, name).get_hookimpls()
    assert any(user.plugin_name.startswith("ltbench:") for user in users)  # distribution:plugin


@pytest.mark.parametrize("name", HOOKS)
def test_it_is_tested(name: str) -> None:
    assert any(name in path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")), "no test names it"


class Diary:
    """Write down what happens, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @ltbench.hookimpl
    def ltbench_run_start(self, run: RunInfo) -> None:
        self.lines.append(f"start {run.expression}")

    @ltbench.hookimpl
    def ltbench_epoch_end(self, run: RunInfo, stage: int, epoch: int, epochs: int) -> None:
        self.lines.append(f"epoch {epoch} of {epochs}, stage {stage} of {run.expression}")

    @ltbench.hookimpl
    def ltbench_stage_end(self, stage: int, curve: Sequence[Mapping[str, Any]], reused: bool) -> None:
        self.lines.append(f"stage {stage}: {len(curve)} rows{', reused' if reused else ''}")

    @ltbench.hookimpl
    def ltbench_run_end(self, run: RunInfo, record: Mapping[str, Any]) -> None:
        self.lines.append(f"end {run.expression}: {record.status}")


def test_events_come_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary()

    def loaded(disabled: object) -> Registry:
        registry = load_registry(strict=False)
        registry.add(diary, PluginInfo("diary", "tests", "0"))
        return registry

    monkeypatch.setattr(from_file, "load_registry", loaded)
    assert program.main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "ce,ncm", "--out",
                         str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]) == 0
    assert diary.lines == ["start ce", "epoch 1 of 2, stage 1 of ce", "epoch 2 of 2, stage 1 of ce", "stage 1: 2 rows",
                           "end ce: completed", "start ce/ncm", "stage 1: 2 rows, reused", "stage 2: 0 rows",
                           "end ce/ncm: completed"]
