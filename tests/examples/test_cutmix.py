from __future__ import annotations

import pytest
import torch
from cutmix import CutMix, span

from tests.support.known_context import SIDE, batch_of, context, part_of
from tests.support.stages import facts

COUNTS = (60, 30, 10)


def method(**values: float) -> CutMix:
    return CutMix(facts(COUNTS), **values)


def test_a_patch_by_hand() -> None:
    # Of 8 pixels half a side is 4: two on each side of the center, and cut at the edge.
    spans = {(found.start, found.stop) for found in (span(8, 0.5, torch.Generator().manual_seed(seed)) for seed in range(200))}
    assert spans == {(0, 2), (0, 3), (0, 4), (1, 5), (2, 6), (3, 7), (4, 8), (5, 8)}


@pytest.mark.parametrize("seed", range(5))
def test_labels_have_the_part_of_the_pixels(seed: int) -> None:
    labels = [0, 1, 2, 0, 1, 2]
    mixed = method().mix(context(COUNTS, seed), batch_of(labels))
    (own, kept), (other, rest) = mixed.targets
    assert own.tolist() == labels and sorted(other.tolist()) == sorted(labels) and float(kept) + float(rest) == pytest.approx(1)
    assert mixed.images is not None
    for image, first, second in zip(mixed.images, own.tolist(), other.tolist(), strict=True):
        values = image.flatten().tolist()
        if first != second:
            assert values.count(float(second)) / SIDE**2 == pytest.approx(float(rest))


def test_a_part_of_a_batch_is_mixed_as_in_the_whole() -> None:
    batch = batch_of([0, 1, 2, 1, 2, 0])
    whole = method().mix(context(COUNTS, seed=3), batch)
    assert whole.images is not None
    for first in (0, 3):
        part = method().mix(context(COUNTS, seed=3), part_of(batch, first, 3))
        torch.testing.assert_close(part.images, whole.images[first:first + 3])


def test_some_batches_can_be_left_as_they_are() -> None:
    batch = batch_of([0, 1, 2])
    assert method(probability=0.0).mix(context(COUNTS), batch) is batch
