from __future__ import annotations

import numpy as np
import pytest

from ltbench.data.chunks import check_batch_size, chunk, global_batches, occurrences
from ltbench.errors import UserError


def test_incomplete_batch_is_left_out() -> None:
    assert global_batches(np.arange(11) * 10, 4, 2).tolist() == [[0, 10, 20, 30], [40, 50, 60, 70]]


def test_short_order_makes_one_batch() -> None:
    assert global_batches([5, 6, 7], 8, 1).tolist() == [[5, 6, 7]]
    assert global_batches([5, 6, 7], 8, 2).tolist() == [[5, 6]]
    with pytest.raises(UserError, match="at least one image for each of 4 processes and accumulation steps, got 3"):
        global_batches([5, 6, 7], 8, 4)


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
