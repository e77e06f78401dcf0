"""Whole runs on a GPU, or on its stand-in where there is none: loop, banks, checkpoints, evaluation, record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ltbench
from ltbench.cli.main import main
from ltbench.method.context import Bank
from ltbench.registry.discovery import load_registry
from ltbench.results import evaluate, records
from ltbench.results.schema import Record
from ltbench.running.phases import Phases
from ltbench.testing import scene
from ltbench.testing.stand_in import stand_in
from ltbench.training import features, loop
from ltbench.training.features import BankMaker
from ltbench.training.loop import Row

METHODS = "ldam+drw/crt,mixup+nc,ce/lncm/multi_ncm,iccl/iccl_rebalance"
ROOM, NO_ROOM = 1 << 36, 0


@pytest.fixture(autouse=True)
def fresh_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the stand-in's memory out of what this process remembers of a device."""
    monkeypatch.setattr(Phases, "_largest", {})


def run(folder: Path, methods: str = METHODS) -> list[Record]:
    """Use all that touches a device: parts of batches, noise on test images, features that are kept."""
    runs = ltbench.run(methods=methods, dataset="digits-lt", seeds=0, protocol="smoke", epochs=2, accumulate=2, test_noise=0.1,
                       keep="features", out=folder / "runs", cache=folder / "cache")
    return runs.records


@pytest.mark.slow
def test_a_run_there_is_the_run_on_a_cpu(tmp_path: Path) -> None:
    here = run(tmp_path / "here")
    for memory in (ROOM, NO_ROOM):
        with stand_in(memory):
            there = run(tmp_path / f"there-{memory}")
        assert {record.environment.device for record in there} == {"stand-in"}
        assert [records.equal(one, other) for one, other in zip(here, there, strict=True)] == [[]] * 4
    assert {record.environment.device for record in here} == {"cpu"} and {record.status for record in here} == {"completed"}


@pytest.mark.parametrize(("memory", "place"), [(ROOM, "cuda"), (NO_ROOM, "cpu")])
def test_features_stay_on_disk_where_the_gpu_has_no_room(monkeypatch: pytest.MonkeyPatch, memory: int, place: str) -> None:
    monkeypatch.setattr(features, "IN_MEMORY", 0)
    with stand_in(memory), scene.scratch() as folder:
        engine, _, _ = scene.Scene(load_registry(strict=False)).build("ce/crt", folder)
        bank = engine.ctx.features("train")
        assert (bank.embedding.device.type, bank.labels.device.type) == (place, "cuda")


@pytest.mark.parametrize("protocol", [{}, {"optimizer": "adamw", "grad_clip": 1.0}])
def test_a_checkpoint_there_loses_nothing(protocol: dict[str, Any]) -> None:
    def interrupt(row: Row) -> None:
        raise KeyboardInterrupt

    place = scene.Scene(load_registry(strict=False), protocol=scene.PROTOCOL.replace(**protocol))
    with stand_in(), scene.scratch() as folder, scene.scratch() as other:
        whole = place.train("hyperspherical", folder)
        with pytest.raises(KeyboardInterrupt):
            place.train("hyperspherical", other, interrupt)
        resumed = place.train("hyperspherical", other)
        assert resumed.curve == whole.curve
        state = resumed.engine.state_dict()
        assert {value.device.type for value in state.values()} == {"cuda"}
        assert all(torch.equal(value, state[name]) for name, value in whole.engine.state_dict().items())


def test_a_stage_that_was_trained_there_goes_on_here(tmp_path: Path) -> None:
    place = scene.Scene(load_registry(strict=False))
    with stand_in():
        there = place.train("ldam", tmp_path)
    here = place.train("ldam", tmp_path)
    assert here.reused and {value.device.type for value in here.engine.state_dict().values()} == {"cpu"}
    assert all(torch.equal(value, there.engine.state_dict()[name]) for name, value in here.engine.state_dict().items())


def test_what_a_run_would_cost_is_timed_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--methods", "ce", "--dataset", "digits-lt", "--protocol", "smoke", "--seeds", "0", "--dry-run"]
    with stand_in():
        assert main([*arguments, "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]) == 0
    assert "1 of 1 runs and 1 stages to do" in capsys.readouterr().out


def bank_here(self: BankMaker, rows: Tensor, labels: Tensor) -> Bank:
    return Bank(rows.to(self._accelerator.device), labels)



FAULTS: list[tuple[str, object, str, Callable[..., Any]]] = [
    ("ce/crt", BankMaker, "_bank", bank_here),
    ("hyperspherical", loop, "gather_rows", lambda rows, *_: rows + torch.zeros(1)),
    ("ce", evaluate, "summarize", lambda log_probs, labels: log_probs.gather(1, labels.cpu()[:, None])),
]


@pytest.mark.parametrize(("methods", "owner", "name", "fault"), FAULTS)
def test_a_fault_of_the_core_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, methods: str, owner: object,
                                           name: str, fault: Callable[..., Any]) -> None:
    monkeypatch.setattr(owner, name, fault)
    with stand_in():
        (record,) = run(tmp_path, methods)
    assert record.status == "failed" and "device" in str(record.reason)
