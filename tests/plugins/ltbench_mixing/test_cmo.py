from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ltbench.method.values import Step
from ltbench.terms.task import Task
from ltbench_mixing.cmo import ContextRichOversampling
from ltbench_mixing.patch import span
from tests.support.known_context import SIDE, batch_of, context
from tests.support.stages import facts

COUNTS = (60, 30, 10)


def method(**values: float | str) -> ContextRichOversampling:
    return ContextRichOversampling(facts(COUNTS), **values)


def pasted(seed: int) -> Step:
    batches = {"main": batch_of([0, 0, 1, 0]), "rare": batch_of([2, 1, 2, 2])}
    return method(probability=1.0).step(context(COUNTS, seed), batches)


def test_a_patch_by_hand() -> None:
    # Of 8 pixels half a side is 4: two on each side of the center, and cut at the edge.
    spans = {(found.start, found.stop) for found in (span(8, 0.5, torch.Generator().manual_seed(seed)) for seed in range(200))}
    assert spans == {(0, 2), (0, 3), (0, 4), (1, 5), (2, 6), (3, 7), (4, 8), (5, 8)}
    wide = {(found.start, found.stop) for found in (span(8, 0.4, torch.Generator().manual_seed(seed), up=True)
                                                    for seed in range(200))}
    assert wide == spans  # 3.2 pixels are 4, rounded up
    assert span(8, 0.0, torch.Generator()) in [slice(center, center) for center in range(8)]


@pytest.mark.parametrize("seed", range(5))
def test_labels_have_the_part_of_the_pixels(seed: int) -> None:
    step = pasted(seed)
    (main, kept), (rare, rest) = step.batch.targets
    assert (main.tolist(), rare.tolist()) == ([0, 0, 1, 0], [2, 1, 2, 2]) and kept + rest == pytest.approx(1)
    assert step.batch.images is not None
    for image, background, patch in zip(step.batch.images, main.tolist(), rare.tolist(), strict=True):
        values = image.flatten().tolist()
        assert values.count(float(background)) / SIDE**2 == pytest.approx(kept)
        assert values.count(float(patch)) / SIDE**2 == pytest.approx(rest)
    assert step.batch.labels.tolist() == main.tolist()


def test_loss_is_that_of_both_labels_one_sample_at_a_time() -> None:
    step = pasted(1)
    (main, kept), (rare, rest) = step.batch.targets
    losses = []
    for logits, background, patch in zip(step.output.logits.tolist(), main.tolist(), rare.tolist(), strict=True):
        total = math.log(sum(math.exp(value) for value in logits))
        losses.append(float(kept) * (total - logits[background]) + float(rest) * (total - logits[patch]))
    assert float(step.loss) == pytest.approx(sum(losses) / 4, rel=1e-5)


def test_half_of_the_batches_are_left_as_they_are() -> None:
    ctx, main = context(COUNTS), batch_of([0, 0, 1, 0])
    batches = {"main": main, "rare": batch_of([2, 1, 2, 2])}
    plain = sum(method().step(ctx, batches).batch is main for _ in range(400))
    assert 160 < plain < 240
    assert all(method(probability=0.0).step(ctx, batches).batch is main for _ in range(20))


def test_epochs_at_either_end_can_stay_plain() -> None:
    ctx, main = context(COUNTS), batch_of([0, 0, 1, 0])
    batches = {"main": main, "rare": batch_of([2, 1, 2, 2])}
    pasting = []
    for ctx.epoch in range(10):
        step = method(probability=1.0, plain_epochs=3).step(ctx, batches)
        pasting.append(step.batch is not main)
    assert pasting == [False] * 3 + [True] * 4 + [False] * 3


def test_settings_are_the_public_ones() -> None:
    known = {"cifar100-lt": ((0.8, 0.9), 0.01), "imagenet-lt": ((0.6, 0.8), 0.1), "inat18": ((0.75,), 0.1)}
    for dataset, (milestones, gamma) in known.items():
        setting = ContextRichOversampling.paper(Task(dataset, None))
        assert setting is not None and (setting.protocol["milestones"], setting.protocol["gamma"]) == (milestones, gamma)


@pytest.mark.parametrize(("foregrounds", "shares"), [("class_balanced", (1, 1, 1)), ("class_reversed", (1, 2, 6))])
def test_how_often_classes_are_in_the_foreground(foregrounds: str, shares: tuple[int, ...]) -> None:
    """Images weighted by 1 / n_k make classes alike; eq. 1 with r = 1 has classes by 1/60 : 1/30 : 1/10."""
    sampler = method(foregrounds=foregrounds).streams(context(COUNTS))["rare"]
    drawn = sampler.draw(np.repeat([0, 1, 2], COUNTS), 9000, np.random.default_rng(0))
    counts = np.bincount(np.repeat([0, 1, 2], COUNTS)[drawn])
    np.testing.assert_allclose(counts, 9000 * np.array(shares) / sum(shares), rtol=0.1)


@pytest.mark.parametrize(("values", "message"), [
    ({"alpha": 0.0}, "alpha must be > 0, got 0.0"),
    ({"probability": 1.5}, r"probability must be in \[0, 1\], got 1.5"),
])
def test_refuses(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(**values)
