"""Training images held out for a look at them: never those of the test part.

A set's own validation list holds such images. Elsewhere they are a part of the long-tailed training split. Images that the
long-tailed construction dropped are never used: a balanced validation part made of them knows of tail classes what nobody with a
long-tailed set can know.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import torch

from ltbench.data.arrays import Ints
from ltbench.data.copies import first_copies, first_pixels
from ltbench.data.encoded import EncodedImages
from ltbench.data.grouped import draw_groups, joined
from ltbench.data.longtail import Split, split_hash, test_indices
from ltbench.data.parts import Fingerprinted, ImageSource, TensorImages
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

    Copies of an image stay on one side, as those of one group do. A validation part that a user brought enters the fingerprint
    and the hash of what is looked at: figures on other images or labels are not taken for figures on these.

    Args:
        per_class: At most this many images a class of the set's own list; None for all.

    Raises:
        UserError: If no class has an image to spare, or the set's own list is there and damaged.
    """
    if data.parts.val_problem is not None:
        raise UserError(data.parts.val_problem)
    split, parts, fingerprint, told = data.split, data.parts, data.fingerprint, None
    if parts.val is not None:
        positions = test_indices(parts.val.labels, data.dataset.num_classes, per_class)
        told = _told(data, parts.val)
        if told is not None:
            fingerprint = _joint(fingerprint, told)
        parts = dataclasses.replace(parts, train=parts.val)
    else:
        groups = getattr(parts.train, "groups", None)
        together = _with_copies(data, groups)
        split, positions = hold_out(data.split, split_seed, together)
        if together is not groups:  # or a stage that was trained on copies of what is held out could be taken for this one's
            fingerprint = _joint(fingerprint, split.hash)
    if not len(positions):
        raise UserError(f"{data.dataset.name} must have a class with two training images, or a validation list, to hold one out")
    labels = parts.train.labels[torch.as_tensor(positions)]
    counts = np.bincount(labels.numpy(), minlength=data.dataset.num_classes)
    hashed = split_hash(positions) if told is None else _joint(split_hash(positions), told)
    seen = dataclasses.replace(data, parts=parts, split=Split(positions, counts, hashed), labels=labels)
    return dataclasses.replace(data, split=split, labels=data.parts.train.labels[torch.as_tensor(split.indices)],
                               fingerprint=fingerprint, held_out=seen)


def _joint(*digests: str | None) -> str:
    return hashlib.sha256(" ".join(map(str, digests)).encode()).hexdigest()


def _told(data: TaskData, val: ImageSource) -> str | None:
    """Return which images a validation part holds; None where it cannot say, or has the class counts that were published."""
    counts = torch.bincount(val.labels, minlength=data.dataset.num_classes)
    published = data.dataset.published
    if not isinstance(val, Fingerprinted) or published is not None and published.val == tuple(counts.tolist()):
        return None
    return val.fingerprint


def _with_copies(data: TaskData, groups: Ints | None) -> Ints | None:
    """Join groups of training images with copies of an image, where a set that nobody published has any; else return them.

    Published sets are as they are, and so are their splits.
    """
    train = data.parts.train
    if data.dataset.published is not None or not isinstance(train, EncodedImages | TensorImages):
        return groups
    originals = first_copies([train]) if isinstance(train, EncodedImages) else first_pixels(train)
    alone = np.arange(len(originals)) if groups is None else groups
    together = joined(originals, alone)
    fewer = len(np.unique(together[data.split.indices])) < len(np.unique(alone[data.split.indices]))
    return together if fewer else groups
