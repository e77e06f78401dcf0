from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.testing.scene import Scene, installed
from ltbench.training.schedules import schedule
from ltbench_baselines.mixup import Mixup
from tests.support.known_context import batch_of, context
from tests.support.stages import facts


@pytest.mark.parametrize(("text", "width"), [("ce", 64), ("ride", 144), ("ride/crt", 144)])  # three experts of 3/4 of 64
def test_the_embedding_is_as_wide_as_the_stack_makes_it(text: str, width: int, tmp_path: Path) -> None:
    engine, _, _ = Scene(installed()).build(text, tmp_path)
    assert engine.ctx.embedding_dim == width


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.4, 0.4), (2.0, 6.0)])
def test_shares_follow_the_beta_distribution(alpha: float, beta: float) -> None:
    ctx = context([1, 1], seed=1)
    drawn = torch.tensor([ctx.draw_beta(alpha, beta) for _ in range(2000)])
    mean = alpha / (alpha + beta)
    assert drawn.mean().item() == pytest.approx(mean, abs=0.03)
    assert drawn.var().item() == pytest.approx(mean * (1 - mean) / (alpha + beta + 1), rel=0.15)


def test_a_share_is_a_function_of_the_contexts_generator() -> None:
    state = torch.get_rng_state()
    assert context([1, 1], seed=3).draw_beta(1, 1) == context([1, 1], seed=3).draw_beta(1, 1)
    assert context([1, 1], seed=3).draw_beta(1, 1) != context([1, 1], seed=4).draw_beta(1, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_mixing_is_the_owners() -> None:
    batch = batch_of([0, 1, 0, 1])
    assert context([1, 1]).mix(batch) is batch
    mixed = context([1, 1], others=(Mixup(facts([1, 1])),)).mix(batch)
    assert len(mixed.targets) == 2


class Rates(ltbench.Method):
    """Note the learning rate that an epoch began with."""

    name = "rates"
    stages = frozenset({1})

    def measure(self, ctx: ltbench.Context) -> dict[str, float]:
        return {"began_with": ctx.lr}


def test_the_loop_says_what_rate_an_epoch_begins_with(tmp_path: Path) -> None:
    result = ltbench.run(methods=[Rates], protocol="smoke", seeds=0, cpu=True, out=tmp_path, cache=tmp_path / "cache")
    (record,) = result.records
    began = [row.as_dict()["began_with"] for row in record.curve]
    one_cycle = schedule("one_cycle", 4, warmup=0.25)  # two steps in each of two epochs
    assert began == pytest.approx([0.0, 0.1 * 0.04, 0.1 * one_cycle(2)])  # before the first step nothing is trained
