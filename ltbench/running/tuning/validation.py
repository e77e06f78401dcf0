"""The images that a choice may be made on, see :mod:`ltbench.data.held_out`."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

from ltbench.data.held_out import holding_out
from ltbench.data.task_data import TaskData

HELD_OUT, OWN = "held out", "own"


@dataclass(frozen=True)
class Validation:
    """Say which images trials are judged by.

    Args:
        source: ``held out`` of the training split, or the set's ``own`` list.
        counts: Images of each class, length C; a class of none has no part in a score.
        sha256: Of their positions, in the training part or in the validation part; of a part that a user brought also of which
            images it holds.
    """

    source: str
    counts: tuple[int, ...]
    sha256: str


def trial_data(data: TaskData, split_seed: int, per_class: int | None) -> tuple[TaskData, Validation]:
    """Return what trials train on and are judged by: in the place of the test part stands the validation part.

    Args:
        per_class: At most this many images a class of the set's own list; None for all.

    Raises:
        UserError: If no class has an image to spare.
    """
    held = holding_out(data, split_seed, per_class)
    assert held.held_out is not None  # which is what it does
    seen, own = held.held_out, data.parts.val is not None
    fingerprint = data.fingerprint if own else hashlib.sha256(f"{data.fingerprint} {held.split.hash}".encode()).hexdigest()
    judged = dataclasses.replace(held, parts=dataclasses.replace(data.parts, test=seen.parts.train, val=None, shifts={}),
                                 test_indices=seen.indices, fingerprint=fingerprint, held_out=None)
    return judged, Validation(OWN if own else HELD_OUT, tuple(seen.class_counts.tolist()), seen.split.hash)
