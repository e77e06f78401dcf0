from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ltbench.method.context import Context
from ltbench_baselines.focal import Focal
from ltbench_losses.ib import InfluenceBalanced, influence
from tests.support.known_context import batch_of, context, part_of
from tests.support.stages import facts

COUNTS = (30, 20, 10)
LABELS = [0, 1, 2, 2]


def late() -> Context:
    ctx = context(COUNTS)
    ctx.epoch = 5  # of 10
    return ctx


def test_influence_by_hand() -> None:
    # Two equal logits: norm_1(p - y) = 1/2 + 1/2, norm_1(h) = 1 + 2.
    assert influence(torch.zeros(1, 2), torch.tensor([[1.0, -2.0]]), torch.tensor([0])).tolist() == [3.0]


def test_influence_is_the_gradient_on_the_classifier_summed_up() -> None:
    # What the paper's divisor stands for.
    features, label = torch.randn(1, 5), torch.tensor([2])
    linear = nn.Linear(5, 4)
    F.cross_entropy(linear(features), label).backward()
    assert linear.weight.grad is not None
    torch.testing.assert_close(influence(linear(features), features, label)[0], linear.weight.grad.abs().sum())


def test_loss_one_sample_at_a_time() -> None:
    batch = batch_of(LABELS)
    assert batch.images is not None
    batch = dataclasses.replace(batch, images=torch.rand_like(batch.images))
    step = InfluenceBalanced(facts(COUNTS), alpha=50.0).step(late(), {"main": batch})
    inverse = [1 / count for count in COUNTS]
    total = 0.0
    for row, label in zip(step.output.logits.tolist(), LABELS, strict=True):  # whose features are the logits
        exponentials = [math.exp(value) for value in row]
        p = [value / sum(exponentials) for value in exponentials]
        divisor = sum(abs(p[k] - (k == label)) for k in range(3)) * sum(map(abs, row))
        total += -math.log(p[label]) * 3 * inverse[label] / sum(inverse) * 50 / (divisor + 0.001)
    assert float(step.loss) == pytest.approx(total / 4, rel=1e-5)


def test_the_first_phase_is_the_stacks_own() -> None:
    batch = batch_of(LABELS)
    ctx = context(COUNTS)
    ctx.epoch = 4
    method = InfluenceBalanced(facts(COUNTS))
    assert float(method.step(ctx, {"main": batch}).loss) == float(ctx.default_step(batch).loss)
    ctx.epoch = 5
    assert float(method.step(ctx, {"main": batch}).loss) != float(ctx.default_step(batch).loss)


def test_a_sample_of_large_influence_counts_for_less() -> None:
    method = InfluenceBalanced(facts([5, 5]), balance=False)
    output = context((5, 5)).forward(torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2).expand(2, 1, 1, 2))
    right, wrong = method._weight(output, torch.tensor([0, 1])).tolist()
    assert right / wrong == pytest.approx(math.exp(2), rel=0.01)  # norm_1(p - y) is twice the other class's probability


def test_parts_of_a_batch_give_the_whole_batchs_loss() -> None:
    batch = batch_of(LABELS)
    method = InfluenceBalanced(facts(COUNTS))
    whole = float(method.step(late(), {"main": batch}).loss)
    parts = [float(method.step(late(), {"main": part_of(batch, first, 2)}).loss) for first in (0, 2)]
    assert sum(parts) / 2 == pytest.approx(whole, rel=1e-6)


def test_with_focal_loss_it_is_another_row_of_the_paper() -> None:
    batch = batch_of([0])
    even = dataclasses.replace(batch, images=torch.ones_like(batch.images))  # type: ignore[arg-type]
    ctx = context(COUNTS, others=[Focal(facts(COUNTS), gamma=1.0)])
    ctx.epoch = 5
    method = InfluenceBalanced(facts(COUNTS))
    plain = float(method.step(late(), {"main": even}).loss)
    assert float(method.step(ctx, {"main": even}).loss) == pytest.approx(2 / 3 * plain)  # 1 - p = 2/3


@pytest.mark.parametrize(("values", "message"), [
    ({"alpha": 0.0}, "alpha must be > 0, got 0.0"), ({"start": 1.5}, r"start must be in \[0, 1\], got 1.5")])
def test_refuses(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InfluenceBalanced(facts(COUNTS), **values)
