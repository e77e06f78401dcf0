"""How the order of an epoch is cut into global batches, and these into parts for processes and accumulation steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.data.arrays import Ints
from ltbench.errors import UserError


def check_batch_size(batch_size: int, world: int, accumulation: int) -> None:
    """Refuse a global batch that cannot be cut into equal parts: unequal ones would weigh images differently."""
    if min(batch_size, world, accumulation) < 1:
        raise UserError(f"batch size, processes and accumulation steps must be >= 1, got {batch_size}, {world}, {accumulation}")
    if batch_size % (world * accumulation):
        raise UserError(f"batch size must divide by processes x accumulation, got {batch_size} over {world} x {accumulation}")


def batch_shape(draws: int, batch_size: int, chunks: int) -> tuple[int, int]:
    """Return how many global batches an order makes, and how many images each of them has.

    The incomplete last batch is left out. An order shorter than a batch makes one batch of all its images, less the few that do
    not divide by ``chunks``.

    Raises:
        UserError: If there are fewer positions than parts.
    """
    if draws < chunks:
        raise UserError(f"an epoch must draw at least one image for each of {chunks} processes and accumulation steps, "
                        f"got {draws}")
    size = min(batch_size, draws // chunks * chunks)
    return draws // size, size


def chunk(step: int, rank: int, world: int, size: int) -> slice:
    """Return the part of a global batch that a process trains on in an accumulation step.

    Part number ``step * world + rank`` is contiguous, so gathering each step's parts over the processes and joining the steps
    gives the global batch in its own order.

    Args:
        size: Images in a part.
    """
    number = step * world + rank
    return slice(number * size, (number + 1) * size)


def occurrences(order: npt.ArrayLike) -> Ints:
    """Return how often each entry stood in the order before, shape (n,): 0 for the first time."""
    positions = np.asarray(order, dtype=np.int64)
    sorting = np.argsort(positions, kind="stable")
    ordered = positions[sorting]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(ordered)])
    counted = np.empty(len(positions), np.int64)
    counted[sorting] = np.arange(len(positions)) - np.repeat(starts, lengths)
    return counted
