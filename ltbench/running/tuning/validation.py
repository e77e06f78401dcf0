"""The images that a choice may be made on: never those of the test part.

A set's own validation list is one. Elsewhere a part of the long-tailed training split is held out while trials train on the rest.
Images that the long-tailed construction dropped are never used: a balanced validation part made of them knows of tail classes
what nobody with a long-tailed set can know.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from ltbench.data.arrays import Ints
from ltbench.data.longtail import Split, split_hash, test_indices
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError

HELD_OUT, OWN = "held out", "own"
SHARE = 5  # one image in five


@dataclass(frozen=True)
class Validation:
    """Say which images trials are judged by.

    Args:
        source: ``held out`` of the training split, or the set's ``own`` list.
        counts: Images of each class, length C.
        sha256: Of their positions, in the training part or in the validation part.
    """

    source: str
    counts: tuple[int, ...]
    sha256: str


def held_out_counts(class_counts: Ints) -> Ints:
    """Return how many images of each class are held out: a fifth, rounded down, but one where there are two or more.

    A class keeps at least one training image; the only image of a class stays where it is, and no trial is judged by that class.

    Args:
        class_counts: Training images of each class, int64, shape (C,).
    """
    return np.where(class_counts >= 2, np.maximum(class_counts // SHARE, 1), 0).astype(np.int64)


def hold_out(split: Split, split_seed: int) -> tuple[Split, Ints]:
    """Divide a split; which images are held out is a function of its hash and its seed.

    Returns:
        The split that trials train on, and the positions of the images held out, in stored order, int64, shape (M,).
    """
    generator = np.random.default_rng(derive_seed("validation", split.hash, split_seed))
    held = held_out_counts(np.asarray(split.class_counts))
    kept, out = [], []
    for positions, count in zip(np.split(split.indices, np.cumsum(split.class_counts)[:-1]), held, strict=True):
        chosen = np.zeros(len(positions), dtype=bool)
        chosen[generator.permutation(len(positions))[:count]] = True
        kept.append(positions[~chosen])
        out.append(positions[chosen])
    indices = np.concatenate(kept)
    return Split(indices, split.class_counts - held, split_hash(indices)), np.sort(np.concatenate(out))


def trial_data(data: TaskData, split_seed: int, per_class: int | None) -> tuple[TaskData, Validation]:
    """Return what trials train on and are judged by: in the place of the test part stands the validation part.

    Args:
        per_class: At most this many images a class of the set's own list; None for all.

    Raises:
        UserError: If no class has an image to spare.
    """
    classes = data.dataset.num_classes
    if data.parts.val is not None:
        positions = test_indices(data.parts.val.labels, classes, per_class)
        parts = dataclasses.replace(data.parts, test=data.parts.val, val=None, shifts={})
        judged, source = dataclasses.replace(data, parts=parts, test_indices=torch.as_tensor(positions)), OWN
    else:
        split, positions = hold_out(data.split, split_seed)
        parts = dataclasses.replace(data.parts, test=data.parts.train, shifts={})
        judged, source = dataclasses.replace(
            data, parts=parts, split=split, test_indices=torch.as_tensor(positions),
            labels=data.parts.train.labels[torch.as_tensor(split.indices)],
            fingerprint=hashlib.sha256(f"{data.fingerprint} {split.hash}".encode()).hexdigest()), HELD_OUT
    if not len(positions):
        raise UserError(f"{data.dataset.name} must have a class with two training images, or a validation list, to tune on")
    counts = np.bincount(judged.parts.test.labels[judged.test_indices].numpy(), minlength=classes)
    return judged, Validation(source, tuple(counts.tolist()), split_hash(positions))
