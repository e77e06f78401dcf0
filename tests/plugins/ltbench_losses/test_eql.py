from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from ltbench_losses.eql import Equalization
from tests.support.known_context import batch_of, context, part_of
from tests.support.stages import facts, softmax_loss

COUNTS = (96, 3, 1)


def method(**values: float) -> Equalization:
    return Equalization(facts(COUNTS), **{"threshold": 0.05, **values})


def test_rare_classes_and_their_loss_by_hand() -> None:
    assert method().rare.tolist() == [False, True, True]  # shares .96, .03 and .01
    # With all rare classes left out an image of the first has nobody to be told from, and one of the last only the first.
    batch = batch_of([0, 2])
    even = dataclasses.replace(batch, images=torch.zeros_like(batch.images))  # type: ignore[arg-type]
    assert float(method(drop=1.0).step(context(COUNTS), {"main": even}).loss) == pytest.approx(math.log(2) / 2)


def test_loss_by_a_slow_loop() -> None:
    batch = batch_of([0, 1, 2, 1])
    assert batch.images is not None
    batch = dataclasses.replace(batch, images=torch.rand_like(batch.images))
    step = method(drop=0.6).step(context(COUNTS, seed=5), {"main": batch})
    drawn = torch.rand(4, 3, generator=torch.Generator().manual_seed(5)).tolist()
    losses = []
    for logits, label, row in zip(step.output.logits.tolist(), batch.labels.tolist(), drawn, strict=True):
        kept = [k for k in range(3) if k == label or not (k > 0 and row[k] < 0.6)]
        losses.append(softmax_loss([logits[k] for k in kept], kept.index(label)))
    assert float(step.loss) == pytest.approx(sum(losses) / 4, rel=1e-5)


def test_rare_classes_are_not_discouraged_by_others_images() -> None:
    # The gradient on a rare class's logit from another class's image is dropped; from its own it is not.
    batch = batch_of([0, 0, 1])
    assert batch.images is not None
    images = torch.rand_like(batch.images).requires_grad_()
    method(drop=1.0).step(context(COUNTS), {"main": dataclasses.replace(batch, images=images)}).loss.backward()
    assert images.grad is not None
    gradient = images.grad.flatten(1)[:, :3]
    assert gradient[:2, 1:].abs().max() == 0 and gradient[2, 2] == 0
    assert gradient[2, 1] < 0 < gradient[2, 0]


def test_rare_classes_are_left_out_as_often_as_it_is_said_and_alike_in_parts() -> None:
    batch = batch_of([0] * 20_000)
    left = method(drop=0.9).left_out(context(COUNTS, seed=1), batch)
    assert left.float().mean(dim=0).tolist() == pytest.approx([0.0, 0.9, 0.9], abs=0.01)
    half = part_of(batch, 10_000, 10_000)
    assert torch.equal(method(drop=0.9).left_out(context(COUNTS, seed=1), half), left[10_000:])


def test_each_label_of_a_mixed_image_keeps_its_own_class() -> None:
    batch = batch_of([1, 2])
    even = torch.zeros_like(batch.images)  # type: ignore[arg-type]
    mixed = dataclasses.replace(batch, images=even, targets=[(batch.labels, 0.75), (batch.labels.flip(0), 0.25)])
    # The label's class and the first one are left, whichever label: log 2 each.
    assert float(method(drop=1.0).step(context(COUNTS), {"main": mixed}).loss) == pytest.approx(math.log(2))


def test_without_rare_classes_it_is_cross_entropy() -> None:
    batch = batch_of([0, 1, 2])
    ctx = context(COUNTS)
    for none in (method(threshold=0.0), method(drop=0.0)):
        assert float(none.step(ctx, {"main": batch}).loss) == pytest.approx(float(ctx.default_step(batch).loss))


@pytest.mark.parametrize(("values", "message"), [
    ({"threshold": -0.1}, r"threshold must be in \[0, 1\], got -0.1"), ({"drop": 1.1}, r"drop must be in \[0, 1\], got 1.1")])
def test_refuses(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(**values)
