"""Training images held out for a look at them: never those of the test part.

A set's own validation list holds such images. Elsewhere they are a part of the long-tailed training split. Images that the
long-tailed construction dropped are never used: a balanced validation part made of them knows of tail classes what nobody with a
long-tailed set can know.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ltbench.data.arrays import Ints
from ltbench.data.grouped import draw_groups
from ltbench.data.longtail import Split, split_hash, test_indices
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError

SHARE = 5  # one image in five


def held_out_counts(class_counts: Ints) -> Ints:
    """Return how many images of each class are held out: a fifth, rounded down, but one where there are two or more.

    A class keeps at least one training image; the only image of a class stays where it is, and nothing is judged by that class.

    Args:
        class_counts: Training images of each class, int64, shape (C,).
    """
    return np.where(class_counts >= 2, np.maximum(class_counts // SHARE, 1), 0).astype(np.int64)


def hold_out(split: Split, split_seed: int, groups: Ints | None = None) -> tuple[Split, Ints]:
    """Divide a split; which images are held out is a function of its hash, its seed and the images' groups.

    Args:
        groups: Group of each image of the training part, shape (N,): those of one group stay together. None where there are none.

    Returns:
        The split that is trained on, and the positions of the images held out, in stored order, int64, shape (M,).
    """
    generator = np.random.default_rng(derive_seed("validation", split.hash, split_seed))
    held = held_out_counts(np.asarray(split.class_counts))
    kept, out = [], []
    if groups is not None:
        labels = np.repeat(np.arange(len(held)), np.asarray(split.class_counts))
        apart = draw_groups(labels, groups[split.indices], held, generator)
        indices, out_of = split.indices[~apart], np.bincount(labels[apart], minlength=len(held))
        return Split(indices, split.class_counts - out_of, split_hash(indices)), np.sort(split.indices[apart])
    for positions, count in zip(np.split(split.indices, np.cumsum(split.class_counts)[:-1]), held, strict=True):
        chosen = np.zeros(len(positions), dtype=bool)
        chosen[generator.permutation(len(positions))[:count]] = True
        kept.append(positions[~chosen])
        out.append(positions[chosen])
    indices = np.concatenate(kept)
    return Split(indices, split.class_counts - held, split_hash(indices)), np.sort(np.concatenate(out))


def holding_out(data: TaskData, split_seed: int, per_class: int | None) -> TaskData:
    """Return what a run trains on that looks at other images meanwhile, with these as ``held_out``.

    Args:
        per_class: At most this many images a class of the set's own list; None for all.

    Raises:
        UserError: If no class has an image to spare.
    """
    split, parts = data.split, data.parts
    if parts.val is not None:
        positions = test_indices(parts.val.labels, data.dataset.num_classes, per_class)
        parts = dataclasses.replace(parts, train=parts.val)
    else:
        split, positions = hold_out(data.split, split_seed, getattr(parts.train, "groups", None))
    if not len(positions):
        raise UserError(f"{data.dataset.name} must have a class with two training images, or a validation list, to hold one out")
    labels = parts.train.labels[torch.as_tensor(positions)]
    counts = np.bincount(labels.numpy(), minlength=data.dataset.num_classes)
    seen = dataclasses.replace(data, parts=parts, split=Split(positions, counts, split_hash(positions)), labels=labels)
    return dataclasses.replace(data, split=split, labels=data.parts.train.labels[torch.as_tensor(split.indices)], held_out=seen)
