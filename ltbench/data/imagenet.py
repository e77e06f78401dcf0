"""ImageNet in folders of classes: imagenet1k (Russakovsky et al., 2015), and imagenet200, known as Tiny ImageNet."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar

import torch

from ltbench.data.cifar import Cifar100LT
from ltbench.data.listed import IMAGENET_MEAN, IMAGENET_STD, LARGE, WINDOWS, FileDataset
from ltbench.data.lists import Listed
from ltbench.data.paths import Paths
from ltbench.data.published import Published, Totals
from ltbench.data.walking import ignored, images_below
from ltbench.errors import UserError
from ltbench.terms.protocol import COMMON, Protocol

_ENDINGS = (b".jpeg", b".jpg", b".png")
_ANNOTATIONS = Path("val", "val_annotations.txt")
_WORDNET = re.compile(r"n\d{8}")  # what the folder of a class is called
_NAMED = 3  # folders that one line names


class _FolderDataset(FileDataset):
    """Read training images from a folder for each class, in the order of the folders' names."""

    inner: ClassVar[str] = ""  # where images lie within a class's folder

    def find(self, candidates: list[Path], where: Path) -> tuple[Listed, Listed]:
        """Return both parts of the first candidate that has both."""
        for folder in candidates:
            if (folder / "train").is_dir() and (folder / "val").is_dir():
                names = _folders(folder / "train")
                if len(names) != self.num_classes:
                    raise UserError(f"{str(folder / 'train')!r} must hold {self.num_classes} folders, one a class, "
                                    f"got {len(names)}{self._odd(folder / 'val', names)}")
                return _scan(folder / "train", names, self.inner), self.test(folder / "val", names)
        raise self.missing("folders 'train' and 'val'", where)

    def test(self, folder: Path, names: list[str]) -> Listed:
        """Return the test images."""
        if extra := sorted(set(_folders(folder)) - set(names)):
            raise UserError(f"{str(folder)!r} must hold no class that the training part lacks, got {extra[0]!r}")
        return _scan(folder, names, self.inner)

    def tested(self, folder: Path) -> set[str]:
        """Return the classes of the test part."""
        return set(_folders(folder))

    def _odd(self, val: Path, names: list[str]) -> str:
        """Name the folders that are no class, by their names or because the test part does not know them, and those that lack."""
        tested = self.tested(val)
        odd = [name for name in names if not _WORDNET.fullmatch(name)] or sorted(set(names) - tested if tested else ())
        told = [f"{what} {', '.join(map(repr, found[:_NAMED]))}" for what, found in
                (("besides", odd), ("without", sorted(tested - set(names)))) if found]
        return f": {', '.join(told)}" if told else ""


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not ignored(entry.name))


def _scan(folder: Path, names: list[str], inner: str) -> Listed:
    """List the images of each class's folder."""
    found: list[bytes] = []
    counts = []
    for name in names:
        inside = os.path.join(os.fsencode(name), os.fsencode(inner)) if inner else os.fsencode(name)
        try:
            images = [os.path.join(inside, file) for file in images_below(os.path.join(os.fsencode(folder), inside), _ENDINGS)]
        except OSError as error:
            raise UserError(f"{str(folder / name / inner)!r} cannot be read: {error.strerror}") from error
        if not images:
            raise UserError(f"{str(folder / name / inner)!r} must hold images, got none")
        found += images
        counts.append(len(images))
    return Paths(folder, found), torch.repeat_interleave(torch.arange(len(names)), torch.tensor(counts))


class ImageNet1k(_FolderDataset):
    """Read ImageNet's training and validation images from ``train/<class>/`` and ``val/<class>/``.

    The published training counts are even ones with the right total.
    """

    name = "imagenet1k"
    class_names = tuple(f"class {k}" for k in range(1000))
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    image_size = LARGE
    published = Published(tuple(1282 if k < 167 else 1281 for k in range(1000)), (50,) * 1000,
                          stated=Totals(1_281_167, 1300, 732, many=1000, medium=0, few=0))
    folders = ("imagenet1k", "imagenet", "ImageNet", "ILSVRC2012")
    origin = "image-net.org"
    steps = (
        "Sign up at image-net.org, accept the terms of access, and download the training images (ILSVRC2012_img_train.tar) "
        "and the validation images (ILSVRC2012_img_val.tar).",
        "Unpack them to DATA/imagenet/train/<class>/ and DATA/imagenet/val/<class>/, where <class> is a name like n01440764; the "
        "validation images come in one folder and are sorted by the usual script (valprep.sh).",
    )
    protocols = {
        "smoke": Protocol("smoke", "resnet10", epochs=2, batch_size=64, augmentation=WINDOWS, stage2_draws=1.0,
                          stage2_batch_size=64, per_class=1),
        "quick": Protocol("quick", "resnet10", epochs=8, batch_size=256, lr=0.2, weight_decay=1e-4, schedule="one_cycle",
                          warmup=0.25, augmentation=WINDOWS, stage2_batch_size=256),
        COMMON: Protocol(COMMON, "timm:resnet50", epochs=90, batch_size=256, lr=0.1, weight_decay=1e-4, warmup=0.0,
                         augmentation=WINDOWS, stage2_batch_size=256, stage2_weight_decay=1e-4),
    }


class ImageNet200(_FolderDataset):
    """Read Tiny ImageNet: 200 classes of 64 x 64 pixels, 500 training and 50 test images each.

    The papers that use it speak of 110,000 images, 10,000 of them for testing: the training and the validation part, whose labels
    ``val/val_annotations.txt`` gives.
    """

    name = "imagenet200"
    class_names = tuple(f"class {k}" for k in range(200))
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    image_size = resized = 64
    crop_padding = 4  # as in the code of Mettes et al. (2019), who brought the set up
    max_per_class = 500
    published = Published.even(200, train=500, test=50)
    folders = ("imagenet200", "tiny-imagenet-200", "tiny-imagenet")
    origin = "cs231n.stanford.edu/tiny-imagenet-200.zip"
    steps = (
        "Download cs231n.stanford.edu/tiny-imagenet-200.zip (248 MB; the terms of ImageNet hold for it).",
        "Unpack it to DATA/tiny-imagenet-200, which then holds train/<class>/images/, val/images/ and "
        "val/val_annotations.txt.",
    )
    inner = "images"
    protocols = {  # without the tuned one: weights of elsewhere have mostly seen ImageNet
        **{name: Cifar100LT.protocols[name] for name in ("quick", COMMON)},
        "smoke": Protocol("smoke", "resnet20", epochs=2, batch_size=64, stage2_draws=1.0, stage2_batch_size=64, per_class=2),
    }

    def tested(self, folder: Path) -> set[str]:
        """Return the classes that the list of validation images names; none where it is not there."""
        if not (folder / _ANNOTATIONS.name).is_file():
            return set()
        return {os.fsdecode(cells[1]) for line in _annotations(folder) if len(cells := line.split(b"\t")) > 1}

    def test(self, folder: Path, names: list[str]) -> Listed:
        """Return the validation images in the order of their list."""
        file, lines = folder / _ANNOTATIONS.name, _annotations(folder)
        number = {os.fsencode(name): k for k, name in enumerate(names)}
        images, labels = [], []
        for row, line in enumerate(lines, start=1):
            cells = line.split(b"\t")
            if len(cells) < 2 or cells[1] not in number:
                raise UserError(f"line {row} of {str(file)!r} must read 'image<TAB>class ...' with a class that 'train' has")
            images.append(b"images/" + cells[0])
            labels.append(number[cells[1]])
        return Paths(folder, images), torch.tensor(labels, dtype=torch.int64)


def _annotations(folder: Path) -> list[bytes]:
    """Return the lines of Tiny ImageNet's list."""
    file = folder / _ANNOTATIONS.name
    try:
        return file.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from error
