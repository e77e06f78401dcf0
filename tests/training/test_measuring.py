"""What is measured within an epoch: when, and that nothing else differs for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ltbench.method.context import Context
from ltbench.planning.plan import RunPlan, plan_run
from ltbench.planning.request import How
from ltbench.registry.discovery import load_registry
from ltbench.results.schema import Record
from ltbench.running.runner import Runner
from ltbench.terms.task import Task
from ltbench.training.distributed import make_accelerator
from ltbench.training.files import load_tensors
from ltbench.training.loop import moments
from ltbench.training.store import ENGINE, StageStore
from ltbench_prototype.prototype import PrototypeClassifier

REGISTRY = load_registry(strict=False)
DATASET = REGISTRY.datasets.get("digits-lt").load()()
PROTOCOL = DATASET.protocols["quick"].replace(epochs=1, stage2_draws=2.0, stage2_batch_size=32)


@pytest.mark.parametrize(("every", "steps", "expected"), [
    (None, 10, []),
    (0.1, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9]),  # the tenth is the epoch's end
    (0.5, 7, [4]),  # 3.5 steps are rounded to the even number
    (0.3, 10, [3, 6, 9]),
    (0.1, 4, [1, 2, 3]),  # more moments than steps
    (1e-12, 4, [1, 2, 3]),
    (0.5, 1, []),
])
def test_after_which_steps(every: float | None, steps: int, expected: list[int]) -> None:
    found = moments(every, steps)
    assert list(found) == expected and list(found.values()) == [step / steps for step in expected]


def _plan(text: str, every: float | None) -> RunPlan:
    protocol = PROTOCOL.replace(measure_every=every)
    return plan_run(text, Task("digits-lt", 20.0, protocol=protocol.name), protocol, REGISTRY, DATASET)


def _run(plan: RunPlan, folder: Path) -> Record:
    runner = Runner(REGISTRY, make_accelerator(cpu=True), StageStore(folder / "cache", 10**9), {"digits-lt": DATASET},
                    How(folder / "runs", debug=True))
    (record,) = runner.run([plan])
    assert record.status == "completed", record.reason
    return record


def test_a_stage_that_measures_nothing_is_shared_with_runs_that_do_not_ask() -> None:
    asked, plain = _plan("ce/prototype", 0.25), _plan("ce/prototype", None)
    assert asked.stages[0].key == plain.stages[0].key and asked.stages[1].key != plain.stages[1].key
    assert asked.stages[0].protocol.measure_every is None and asked.stages[1].protocol.measure_every == 0.25


def test_a_look_changes_nothing_that_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = PrototypeClassifier.measure

    def careless(self: PrototypeClassifier, ctx: Context) -> Mapping[str, float]:
        torch.rand(3)  # a stranger's method may draw
        torch.rand(3, generator=ctx.generator)
        return measure(self, ctx)

    monkeypatch.setattr(PrototypeClassifier, "measure", careless)
    plans = {every: _plan("ce/prototype(inputs=images)", every) for every in (None, 0.25)}
    records = {every: _run(plan, tmp_path) for every, plan in plans.items()}
    weights: dict[Any, dict[str, torch.Tensor]] = {
        every: load_tensors(StageStore(tmp_path / "cache", 10**9).path(plan.stages[-1].key) / ENGINE)[0]
        for every, plan in plans.items()}
    assert all(torch.equal(value, weights[0.25][name]) for name, value in weights[None].items())
    places = {every: [(row.epoch, row.part) for row in record.curve if row.stage == 2] for every, record in records.items()}
    assert places[None] == [(0, None), (1, None), (2, None)]
    steps = sum(records[None].split.class_counts) // 32
    quarters = [round(n * 0.25 * steps) / steps for n in (1, 2, 3)]
    assert places[0.25] == [(0, None), *((0, part) for part in quarters), (1, None), *((1, part) for part in quarters), (2, None)]
    ends = {every: [row.as_dict() for row in record.curve if row.part is None] for every, record in records.items()}
    assert ends[None] == ends[0.25]
    between = [row.as_dict() for row in records[0.25].curve if row.part is not None]
    assert all(0 < row["separation_all_euclidean"] for row in between) and "loss" not in between[0]
    assert len({row["separation_all_euclidean"] for row in between}) == len(between)
