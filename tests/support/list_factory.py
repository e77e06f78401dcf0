"""Fake data folders: lists with the published counts, and format-true tiny files, for tests where the real data is not."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inat18 import INat18
from ltbench.data.places_lt import PlacesLT

LISTED = (ImageNetLT, INat18, PlacesLT)


def write_list(file: Path, pattern: str, counts: Sequence[int]) -> None:
    """Write "path label" lines.

    Args:
        pattern: Of a path, with ``{k}`` for the class and ``{i}`` for the image's number in it.
        counts: Images of each class, shape (C,).
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        for k, count in enumerate(counts):
            stream.writelines(f"{pattern.format(k=k, i=i)} {k}\n" for i in range(count))


def write_lists(root: Path) -> Path:
    """Write the lists of imagenet-lt, inat18 and places-lt, without any image, in folders of their own."""
    for dataset in LISTED:
        assert dataset.published is not None
        for files, counts in ((dataset.train_lists, dataset.published.train), (dataset.test_lists, dataset.published.test)):
            part = "train" if files is dataset.train_lists else "val"
            write_list(root / dataset.folders[0] / files[0], part + "/{k}/{k}_{i}.jpg", counts)
    return root


def write_class_folders(root: Path) -> Path:
    """Write the folders of imagenet1k and imagenet200, with one empty file a class and part."""
    for k in range(1000):
        for part in ("train", "val"):
            (root / "imagenet1k" / part / f"n{k:08d}").mkdir(parents=True)
            (root / "imagenet1k" / part / f"n{k:08d}" / f"{part}_{k}.JPEG").touch()
    tiny = root / "tiny-imagenet-200"
    for k in range(200):
        (tiny / "train" / f"n{k:08d}" / "images").mkdir(parents=True)
        (tiny / "train" / f"n{k:08d}" / "images" / f"n{k:08d}_0.JPEG").touch()
    (tiny / "val" / "images").mkdir(parents=True)
    for k in range(200):
        (tiny / "val" / "images" / f"val_{k}.JPEG").touch()
    rows = [f"val_{k}.JPEG\tn{199 - k:08d}\t0\t0\t62\t62" for k in range(200)]
    (tiny / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def md5_of(file: Path) -> str:
    """Return a file's md5 sum, for torchvision's lists of official files to name it."""
    return hashlib.md5(file.read_bytes()).hexdigest()


def write_svhn(root: Path, train: npt.NDArray[np.int64], test: npt.NDArray[np.int64]) -> Path:
    """Write SVHN's two files: every pixel of an image is ten times its digit, so that an image tells its label.

    Args:
        train: Digits 0 to 9, shape (N,).
    """
    from scipy.io import savemat

    (root / "svhn").mkdir(parents=True, exist_ok=True)
    for part, digits in (("train", train), ("test", test)):
        pixels = np.broadcast_to((10 * digits).astype(np.uint8), (32, 32, 3, len(digits)))
        labels = np.where(digits == 0, 10, digits)[:, None].astype(np.uint8)  # the files call the digit 0 "10"
        savemat(root / "svhn" / f"{part}_32x32.mat", {"X": pixels, "y": labels}, do_compression=True)
    return root


def write_stl10(root: Path, train: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Path:
    """Write STL-10's files; the test part repeats the training part.

    Args:
        train: Images, shape (N, 3, 96, 96).
        labels: From 0, shape (N,).
    """
    folder = root / "stl10_binary"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        train.swapaxes(2, 3).tofile(folder / f"{part}_X.bin")  # columns first
        (labels + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    return root


def write_cifar10(root: Path, per_class: int = 2) -> Path:
    """Write CIFAR-10's files with random images; ltbench takes them once torchvision's list of md5 sums names theirs."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        labels = np.repeat(np.arange(10), per_class).tolist()
        pixels = generator.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))
    return root


def write_jpegs(folder: Path, images: npt.NDArray[np.uint8]) -> list[str]:
    """Write gray images as JPEG files.

    Args:
        images: Shape (N, height, width).
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number}.jpg" for number in range(len(images))]
    for name, pixels in zip(names, images, strict=True):
        Image.fromarray(pixels).save(folder / name, quality=95)
    return names
