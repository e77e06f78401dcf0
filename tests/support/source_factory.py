"""Scikit-learn's digits, written in the forms in which people have images: tables, Parquet, torchvision's own folders."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def digits(count: int = 300, scale: int = 3) -> tuple[Pixels, list[int]]:
    """Return the first digits, larger, uint8, shape (count, side, side), and their labels."""
    from sklearn.datasets import load_digits

    held = load_digits()
    pixels = np.round(held.images[:count] * (255 / 16)).astype(np.uint8)
    return pixels.repeat(scale, 1).repeat(scale, 2), held.target[:count].tolist()


def write_pngs(folder: Path, pixels: Pixels) -> list[str]:
    """Write images as files of their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04d}.png" for number in range(len(pixels))]
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(folder / name)
    return names


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> Path:
    """Write a table of text."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return file


def png(image: Pixels) -> bytes:
    """Return the bytes of an image's file."""
    held = io.BytesIO()
    Image.fromarray(image).save(held, "PNG")
    return held.getvalue()


def write_hub_parquet(file: Path, pixels: Pixels, columns: dict[str, Any], features: dict[str, Any]) -> Path:
    """Write a Parquet file as the hub has it, with the images within it."""
    import datasets

    file.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": png(image), "path": f"{row}.png"} for row, image in enumerate(pixels)]
    table = datasets.Dataset.from_dict({"image": images, **columns},
                                       features=datasets.Features({"image": datasets.Image(), **features}))
    table.to_parquet(file)
    return file


def write_mnist(root: Path, name: str, train: tuple[Pixels, list[int]], test: tuple[Pixels, list[int]]) -> Path:
    """Write the files of MNIST, unpacked, as torchvision reads them.

    Args:
        name: Of torchvision's class, whose folder bears it.
    """
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, (pixels, labels) in (("train", train), ("t10k", test)):
        head = struct.pack(">IIII", 0x803, *pixels.shape)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + bytes(labels))
    return root


def write_eurosat(root: Path, pixels: Pixels, labels: Sequence[int]) -> Path:
    """Write the folders of EuroSAT, a class of them for each digit."""
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        folder = root / "eurosat" / "2750" / f"Class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(folder / f"Class{label}_{number}.jpg", quality=95)
    return root
