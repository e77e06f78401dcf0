"""Sets that are named by where they are: what ``folder:``, ``list:``, ``tar:``, ``csv:``, ``hf:`` and others have in common."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset
from ltbench.data.class_names import numbered
from ltbench.data.content import content_digest
from ltbench.data.copies import first_copies
from ltbench.data.encoded import EncodedImages
from ltbench.data.files import FileImages
from ltbench.data.grouped import Bools, draw_groups, joined
from ltbench.data.listed import IMAGENET_MEAN, IMAGENET_STD, LARGE, LARGE_RESIZED, WINDOWS
from ltbench.data.lists import Listed
from ltbench.data.longtail import select
from ltbench.data.parts import Parts
from ltbench.data.same_file import each_once
from ltbench.errors import UserError
from ltbench.terms.protocol import COMMON, TUNED, Protocol

_TEST_SEED = 20  # of a carved test part, for ever: another seed makes another benchmark
_TESTED = 5  # one of how many
# Of folders, by their names.
ROLES = {"train": "train", "training": "train", "trn": "train", "test": "test", "testing": "test", "tst": "test", "eval": "test",
         "evaluation": "test", "val": "val", "valid": "val", "validation": "val", "dev": "val"}

# As on ImageNet-LT, but for the color jitter, and for batches that a small set can fill.
PROTOCOLS = {
    "smoke": Protocol("smoke", "resnet10", epochs=2, batch_size=8, augmentation=WINDOWS, stage2_draws=1.0, stage2_batch_size=8,
                      per_class=10),
    "quick": Protocol("quick", "resnet10", epochs=16, batch_size=64, lr=0.05, schedule="one_cycle", warmup=0.25,
                      augmentation=WINDOWS, stage2_batch_size=64),
    COMMON: Protocol(COMMON, "timm:resnext50_32x4d", epochs=90, batch_size=256, lr=0.1, weight_decay=5e-4, warmup=0.0,
                     augmentation=WINDOWS, stage2_batch_size=256),
    TUNED: Protocol(TUNED, "timm:tf_efficientnet_lite0", epochs=10, batch_size=32, lr=0.01, weight_decay=1e-4, warmup=0.1,
                    augmentation=WINDOWS, stage2_batch_size=64),
}


class OwnImages(Dataset):
    """Hold a set whose parts are known already.

    A ratio is taken from what the smallest class has, so that no class is asked for more images than there are; without one the
    training part is used as it is.

    Args:
        name: Without any path.
        train: Every class has an image.
        test: Every class has an image; None to set a fifth of each class's training images apart.
        val: The set's own validation part, if it has one beside the test part.
        official: See :class:`ltbench.data.base.Dataset`; a part that is set apart here is nobody's.

    Raises:
        UserError: If a class cannot be trained or tested on.
    """

    mean, std = IMAGENET_MEAN, IMAGENET_STD
    image_size, resized = LARGE, LARGE_RESIZED
    protocols = PROTOCOLS

    def __init__(self, name: str, class_names: tuple[str, ...], train: EncodedImages, test: EncodedImages | None,
                 val: EncodedImages | None = None, *, official: bool = False) -> None:
        self.name, self.class_names, self.official = name, class_names, official and test is not None
        if len(class_names) < 2:
            raise UserError(f"{name} must have at least 2 classes, got {len(class_names)}")
        train = each_once(name, train, class_names)
        test, val = (part and each_once(name, part, class_names) for part in (test, val))
        if test is None:
            train, test = carve(train, class_names)
        for part, source in (("training", train), ("test", test)):
            if missing := sorted(set(range(len(class_names))) - set(source.labels.tolist())):
                raise UserError(f"every class of {name} must have a {part} image, class {class_names[missing[0]]!r} has none")
        self.max_per_class = int(torch.bincount(train.labels).min())
        train, test = (replace(part, content=content_digest(part, official=official)) for part in (train, test))
        if not official and not _in_paths(class_names, train):  # and there are methods that read names
            told = "\0".join([train.content, *class_names]).encode(errors="surrogatepass")
            train = replace(train, content=hashlib.sha256(told).hexdigest())
        self._parts = train, test, val and replace(val, content=content_digest(val, official=official))
        self.images = hashlib.sha256(f"{train.fingerprint} {test.fingerprint}".encode()).hexdigest()

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Return the parts, at the size that is asked for; no image is opened, and nothing else is looked for."""
        train, test, val = (part and replace(part, size=self.image_size, resized=self.resized) for part in self._parts)
        assert train is not None and test is not None
        return Parts(train, test, val)


def _in_paths(class_names: tuple[str, ...], images: EncodedImages) -> bool:
    """Tell whether names are but numbers, or those of folders that images lie in: the digest of paths holds these already."""
    firsts = np.unique(images.labels.numpy(), return_index=True)[1].tolist()
    return numbered(class_names) or all(name in os.fsdecode(path).split("/")[:-1]
                                        for name, path in zip(class_names, images.paths.take(firsts).names(), strict=True))


def own_files(listed: Listed) -> FileImages:
    """Return the images of a list."""
    return FileImages(*listed, LARGE, LARGE_RESIZED)


def carve(images: EncodedImages, class_names: tuple[str, ...]) -> tuple[EncodedImages, EncodedImages]:
    """Set a fifth of each class's images apart, see :func:`set_apart`.

    Returns:
        Those to train on, and those to test on.
    """
    apart = set_apart(images.labels.numpy(), first_copies([images]), class_names, images.groups)
    return images.take(torch.from_numpy(np.flatnonzero(~apart))), images.take(torch.from_numpy(np.flatnonzero(apart)))


def set_apart(labels: Ints, originals: Ints, class_names: tuple[str, ...], groups: Ints | None = None) -> Bools:
    """Choose a fifth of each class's images to be tested on, at least one and never all, by a fixed seed.

    Copies of an image count once and stay together, so that none is trained on whose copy is tested on; so do images of one
    group, where groups are known.

    Args:
        labels: Class of each image, shape (N,).
        originals: The first image that is the same, shape (N,).
        groups: Number of each image's group, shape (N,).

    Returns:
        Which are chosen, shape (N,).

    Raises:
        UserError: If a class has one image only, or no group that could be set apart.
    """
    first = originals == np.arange(len(originals))
    distinct = np.flatnonzero(first)
    counts = np.bincount(labels[distinct], minlength=len(class_names))
    for k in np.flatnonzero(counts == 1)[:1]:
        held = int((labels == k).sum())
        raise UserError(f"class {class_names[k]!r} must have at least 2 images, one of them to test on, got "
                        f"{'1' if held == 1 else f'{held} copies of one'}")
    wanted = np.where(counts > 0, np.maximum(counts // _TESTED, 1), 0)
    if groups is None:
        return np.isin(originals, distinct[select(labels[distinct], wanted, _TEST_SEED)])
    apart = draw_groups(labels, joined(originals, groups), wanted, np.random.default_rng(_TEST_SEED), first.astype(np.int64))
    given = np.bincount(labels[apart], minlength=len(class_names))
    for k in np.flatnonzero((wanted > 0) & (given == 0))[:1]:
        raise UserError(f"class {class_names[k]!r} must have a group to test on that leaves images of every class to train on, "
                        f"got {len(np.unique(groups[labels == k]))} in all")
    return apart


def own_path(typed: str, family: str) -> Path:
    """Return the path behind a family's colon, with ``~`` expanded."""
    if not typed:
        raise UserError(f"{family} must be followed by a path, got nothing")
    path = os.path.abspath(os.path.expanduser(typed))
    try:
        os.stat(path)
    except OSError:
        pass  # whoever reads it says what is wrong
    except ValueError:  # a null character, or one that no file's name can hold
        raise UserError(f"{family} must be followed by a path, got {typed!r}") from None
    return Path(path)


def safe_name(text: str) -> str:
    """Return a name for records, tables and file names: letters, digits, dots, hyphens and underscores."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-") or "images"
