"""Whole trees of small JPEGs in the layout of a large set, to measure runs at its real number of classes and images.

Usage: ``python -m tests.support.tree_factory imagenet-lt FOLDER [--counts CSV]``, likewise ``inat18`` and ``places-lt``.
LTBENCH_DATA names a folder with CIFAR-100, whose images the tree is made of. Files are hard links to one pool of 60,000 real
images: 437,513 names take a minute and little disk. What a class shows means nothing beyond which of CIFAR-100's classes it
was given.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.list_factory import LISTED

SETS = {dataset.name: dataset for dataset in LISTED}


def write_pool(folder: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> list[list[Path]]:
    """Write images as JPEG files.

    Args:
        images: Shape (N, height, width, 3).
        labels: Shape (N,).

    Returns:
        The files of each class.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files: list[list[Path]] = [[] for _ in range(int(labels.max()) + 1)]
    for number, (pixels, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
        files[label].append(folder / f"{number}.jpg")
        files[label][-1].write_bytes(buffer.getvalue())
    return files


def write_tree(root: Path, name: str, train: Sequence[int], test: Sequence[int], pool: Sequence[Sequence[Path]],
               other: Sequence[Sequence[Path]]) -> Path:
    """Lay out a set with its lists: class k shows images of the pool's class k modulo the number of these.

    Args:
        pool: Files for training, class by class, on the same disk as the root.
    """
    dataset = SETS[name]
    folder = root / dataset.folders[0]
    for part, counts, files, listed in (("train", train, pool, dataset.train_lists), ("val", test, other, dataset.test_lists)):
        lines = []
        for k, count in enumerate(counts):
            shown = files[k % len(files)]
            start = k // len(files) * 37  # classes that share a source begin elsewhere in it
            (folder / part / str(k)).mkdir(parents=True)
            for i in range(count):
                path = f"{part}/{k}/{i}.jpg"
                os.link(shown[(start + i) % len(shown)], folder / path)
                lines.append(f"{path} {k}\n")
        (folder / listed[0]).write_text("".join(lines), encoding="utf-8")
    return root


def main() -> None:
    """Make a tree of CIFAR-100's images."""
    from ltbench.data.cifar import Cifar100LT
    from ltbench.data.parts import TensorImages

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--counts", type=Path, help="training images of each class: a CSV with a column train_count")
    args = parser.parse_args()
    parts = Cifar100LT().load(Path(os.environ["LTBENCH_DATA"]))
    pools = []
    for part_name, part in (("train", parts.train), ("test", parts.test)):
        assert isinstance(part, TensorImages)
        pools.append(write_pool(args.folder / f"pool-{part_name}", part.pixels.permute(0, 2, 3, 1).numpy(), part.labels.numpy()))
    published = SETS[args.name].published
    assert published is not None
    counts = published.train
    if args.counts:
        with args.counts.open(encoding="utf-8", newline="") as file:
            counts = tuple(int(row["train_count"]) for row in csv.DictReader(file))
    write_tree(args.folder, args.name, counts, published.test, *pools)


if __name__ == "__main__":
    main()
