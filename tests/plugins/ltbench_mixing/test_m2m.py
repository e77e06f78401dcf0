from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ltbench.data.samplers import ClassBalanced, InstanceBalanced
from ltbench.method.context import Context
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed, scratch
from ltbench_mixing.m2m import MajorToMinor, evaluating, unit
from tests.support.known_context import SIDE, batch_of, context, part_of
from tests.support.stages import facts

COUNTS = (100, 20, 5)


def method(**values: float) -> MajorToMinor:
    return MajorToMinor(facts(COUNTS), **values)  # type: ignore[arg-type]  # numbers


def late(seed: int = 0) -> Context:
    ctx = context(COUNTS, seed)
    ctx.epoch = 8
    return ctx


def slow_chance(own: int, other: int, beta: float = 0.999) -> float:
    return 1 - beta ** max(COUNTS[other] - COUNTS[own], 0)


def test_a_seed_by_hand() -> None:
    # Label 2 has 5 images: rows of classes 0, 1, 2 have chances 1 - .999^95, 1 - .999^15 and 0, together .1056.
    counts, labels, everything = torch.tensor(COUNTS), torch.full((3,), 2), torch.tensor([0, 1, 2])
    chances = [slow_chance(2, k) for k in range(3)]
    just = chances[0] / sum(chances)
    rows, taken = method().choose(counts, labels, everything, torch.tensor([0.0, just + 1e-4, 0.999]))
    assert rows.tolist() == [0, 1, 1]
    torch.testing.assert_close(taken, torch.tensor([chances[0], chances[1], chances[1]], dtype=torch.float64))


def test_seeds_are_drawn_by_their_chance() -> None:
    everything = torch.tensor([0, 0, 1, 2])
    rows, _ = method().choose(torch.tensor(COUNTS), torch.full((20_000,), 2), everything, torch.rand(20_000))
    chances = [slow_chance(2, k) for k in (0, 0, 1, 2)]
    found = torch.bincount(rows, minlength=4) / 20_000
    torch.testing.assert_close(found, torch.tensor(chances) / sum(chances), atol=0.015, rtol=0)


def test_the_largest_class_has_no_seed() -> None:
    _, taken = method().choose(torch.tensor(COUNTS), torch.tensor([0, 0]), torch.tensor([0, 1, 2]), torch.tensor([0.0, 0.99]))
    assert taken.tolist() == [0.0, 0.0]


def slow_translation(pixels: list[float], seed: int, label: int, steps: int, size: float, aversion: float,
                     low: float, high: float) -> list[float]:
    """One image at a time, of which the first three pixels are the logits of both networks."""
    for _ in range(steps):
        logits = pixels[:3]
        total = sum(math.exp(z) for z in logits)
        gradient = [math.exp(z) / total - (k == label) + aversion * (k == seed) for k, z in enumerate(logits)]
        length = math.sqrt(sum(g * g for g in gradient))
        pixels = [min(max(p - size * g / length, low), high) for p, g in zip(pixels, gradient + [0.0] * (len(pixels) - 3),
                                                                            strict=True)]
    return pixels


@pytest.mark.parametrize("steps", [1, 6])
def test_translation_against_loops(steps: int) -> None:
    own = method(noise=0.0, steps=steps, step_size=0.3)
    everything = torch.randn(4, 1, SIDE, SIDE)
    seeds, sources, labels = torch.tensor([0, 3]), torch.tensor([0, 1]), torch.tensor([2, 2])
    found, sure = own.translate(late(), everything, seeds, sources, labels, torch.zeros(2, 1, SIDE, SIDE))
    for row in range(2):
        slow = slow_translation(everything[seeds[row]].flatten().tolist(), int(sources[row]), 2, steps, 0.3, 0.5,
                                float(everything.min()), float(everything.max()))
        torch.testing.assert_close(found[row].flatten(), torch.tensor(slow), atol=1e-4, rtol=1e-4)
        assert float(sure[row]) == pytest.approx(math.exp(slow[2]) / sum(math.exp(z) for z in slow[:3]), rel=1e-3)


def test_translations_convince_the_network_below_and_leave_the_seeds_class() -> None:
    own = method(steps=30)
    everything = torch.randn(64, 1, SIDE, SIDE)
    rows, zero, two = torch.arange(64), torch.zeros(64, dtype=torch.int64), torch.full((64,), 2)
    found, sure = own.translate(late(), everything, rows, zero, two, torch.randn(64, 1, SIDE, SIDE))
    before = everything.flatten(1)[:, :3].softmax(dim=1)[:, 2]
    assert bool((sure > before).all()) and bool((found.flatten(1)[:, 0] < everything.flatten(1)[:, 0]).float().mean() > 0.9)
    assert float(found.max()) <= float(everything.max()) and float(found.min()) >= float(everything.min())
    assert not found.requires_grad


def test_only_sure_translations_of_smaller_classes_replace_images() -> None:
    batch = batch_of([0, 1, 2] * 40)
    assert batch.images is not None
    images = batch.images + torch.randn(batch.images.shape, generator=torch.Generator().manual_seed(3))
    batch.images.copy_(images)
    none = method(confidence=1.0).mix(late(), batch)
    torch.testing.assert_close(none.images, batch.images)
    some = method(confidence=0.0, beta=0.001).mix(late(), batch)
    assert some.images is not None and some.targets is batch.targets
    changed = (some.images != batch.images).flatten(1).any(dim=1)
    shares = [float(changed[batch.labels == k].float().mean()) for k in range(3)]
    # n_k / n_max stay: all of class 0, a fifth of class 1, a twentieth of class 2.
    assert shares[0] == 0 and 0.65 < shares[1] < 0.95 and shares[2] > 0.85


def test_early_images_come_as_they_are() -> None:
    ctx, batch = context(COUNTS), batch_of([0, 1, 2])
    own = method()
    assert own.mix(ctx, batch) is batch and own.streams(ctx) == {"main": InstanceBalanced()}
    assert own.streams(late()) == {"main": ClassBalanced()}


def test_a_part_of_a_batch_is_translated_as_in_the_whole() -> None:
    batch = batch_of([0, 1, 2, 2, 1, 0, 2, 2])
    own = method(confidence=0.0, beta=0.1)
    whole = own.mix(late(5), batch)
    assert whole.images is not None and not torch.equal(whole.images, batch.images)  # type: ignore[arg-type]
    for first in (0, 4):
        part = own.mix(late(5), part_of(batch, first, 4))
        torch.testing.assert_close(part.images, whole.images[first:first + 4])


def test_modes_come_back_as_they_were() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5).eval())
    with evaluating(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == [True, True, False]


def test_a_direction_has_length_one_or_none() -> None:
    torch.testing.assert_close(unit(torch.tensor([[[[3.0, 4.0]]], [[[0.0, 0.0]]]])),
                               torch.tensor([[[[0.6, 0.8]]], [[[0.0, 0.0]]]]))


def test_settings_are_the_public_script() -> None:
    setting = MajorToMinor.paper(Task("cifar10-lt", 100.0))
    assert setting is not None and setting.stage1 == "ce" and setting.protocol == setting.stage1_protocol
    assert setting.protocol["gamma"] == 0.01 and MajorToMinor.paper(Task("imagenet-lt", None)) is None


@pytest.mark.slow
def test_it_stands_on_others_and_beside_them() -> None:
    place = Scene(installed())
    with scratch() as folder:
        for text in ("m2m", "ldam/m2m+ldam", "ce/m2m/crt", "mixup/m2m+drw"):
            place.train(text, folder)
