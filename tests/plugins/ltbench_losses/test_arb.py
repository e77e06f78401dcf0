from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from ltbench.method.context import Context
from ltbench_baselines.la import LogitAdjustment
from ltbench_losses.arb import AttractionRepulsionBalanced
from tests.support.known_context import batch_of, context, part_of
from tests.support.stages import facts

COUNTS = (30, 10, 5, 5)
LABELS = [0, 0, 0, 1, 2, 0]


def at(logits: Tensor, counts: str = "batch") -> Tensor:
    """Return the loss at given logits, one row an image of LABELS."""
    batch = batch_of(LABELS)
    images = torch.cat([logits, torch.zeros(len(LABELS), 60)], dim=1).reshape(-1, 1, 8, 8)
    ctx: Context = context(COUNTS)
    return AttractionRepulsionBalanced(facts(COUNTS), counts=counts).step(  # type: ignore[arg-type]
        ctx, {"main": dataclasses.replace(batch, images=images)}).loss


def test_by_hand() -> None:
    # Equal logits: p = n_i / sum of n; in this batch 4, 1 and 1 of 6, and the fourth class is not there.
    assert float(at(torch.zeros(6, 4))) == pytest.approx((4 * math.log(6 / 4) + 2 * math.log(6)) / 6)
    # Over all images 30, 10 and 5 of 50.
    assert float(at(torch.zeros(6, 4), "all")) == pytest.approx((4 * math.log(5 / 3) + math.log(5) + math.log(10)) / 6)


@pytest.mark.parametrize("counts", ["batch", "all"])
def test_loss_by_a_slow_loop(counts: str) -> None:
    logits = torch.randn(6, 4)
    n = COUNTS if counts == "all" else [LABELS.count(k) for k in range(4)]
    total = 0.0
    for row, i in zip(logits.tolist(), LABELS, strict=True):  # with the quotient as printed
        total -= math.log(math.exp(row[i]) / sum(n[j] / n[i] * math.exp(row[j]) for j in range(4)))
    assert float(at(logits, counts)) == pytest.approx(total / 6, rel=1e-5)


def test_with_all_counts_it_is_the_balanced_softmax() -> None:
    logits = torch.randn(6, 4)
    same = LogitAdjustment(facts(COUNTS)).criterion(logits, torch.tensor(LABELS)).mean()
    torch.testing.assert_close(at(logits, "all"), same)


def test_any_two_classes_repel_each_other_alike() -> None:
    # Where features are alike, what class i's images take from class j's logit is what j's take from i's;
    # under cross-entropy the larger class takes more.
    logits = torch.zeros(6, 4, requires_grad=True)
    at(logits).backward()
    assert logits.grad is not None
    taken = torch.zeros(4, 4).index_add_(0, torch.tensor(LABELS), logits.grad)
    pairs = taken - taken.diag().diag()
    torch.testing.assert_close(pairs, pairs.T)
    assert pairs[0, 1] > 0 and pairs[:, 3].abs().max() == 0
    torch.testing.assert_close(-taken.diag(), pairs.sum(dim=0))  # a class is attracted as much as it is repelled


def test_parts_of_a_batch_count_the_whole_batch() -> None:
    batch, method = batch_of(LABELS), AttractionRepulsionBalanced(facts(COUNTS))
    whole = float(method.step(context(COUNTS), {"main": batch}).loss)
    parts = [float(method.step(context(COUNTS), {"main": part_of(batch, first, 3)}).loss) for first in (0, 3)]
    assert sum(parts) / 2 == pytest.approx(whole, rel=1e-6)


def test_refuses() -> None:
    with pytest.raises(ValueError, match="counts must be one of batch, all, got some"):
        AttractionRepulsionBalanced(facts(COUNTS), counts="some")  # type: ignore[arg-type]
