from __future__ import annotations

import numpy as np
import pytest

from ltbench.data.chunks import batch_shape, check_batch_size, chunk, occurrences
from ltbench.errors import UserError


def test_incomplete_batch_is_left_out() -> None:
    assert batch_shape(11, 4, 2) == (2, 4)


def test_short_order_makes_one_batch() -> None:
    assert batch_shape(3, 8, 1) == (1, 3)
    assert batch_shape(3, 8, 2) == (1, 2)
    with pytest.raises(UserError, match="at least one image for each of 4 processes and accumulation steps, got 3"):
        batch_shape(3, 8, 4)


def test_parts_join_to_the_batch_in_its_order() -> None:
    batch = np.arange(12)
    parts = [batch[chunk(step, rank, 2, 2)] for step in range(3) for rank in range(2)]
    assert np.concatenate(parts).tolist() == batch.tolist()


def test_occurrences_against_counting() -> None:
    order = np.random.default_rng(0).integers(0, 20, 300)
    seen: dict[int, int] = {}
    expected = []
    for position in order.tolist():
        expected.append(seen.get(position, 0))
        seen[position] = expected[-1] + 1
    assert occurrences(order).tolist() == expected
    assert occurrences([]).tolist() == []


@pytest.mark.parametrize(("batch", "world", "accumulation", "words"), [
    (128, 3, 1, "batch size must divide by processes x accumulation, got 128 over 3 x 1"),
    (8, 2, 8, "got 8 over 2 x 8"),
    (0, 1, 1, "must be >= 1, got 0, 1, 1"),
    (8, 1, 0, "must be >= 1, got 8, 1, 0"),
])
def test_batches_that_cannot_be_cut(batch: int, world: int, accumulation: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_batch_size(batch, world, accumulation)
