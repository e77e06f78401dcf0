"""A set of three classes in lists, small enough for a folder of real files."""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_digits

from ltbench.data.listed import ListedDataset
from ltbench.data.published import Published
from ltbench.registry.catalog import Registered
from ltbench.registry.discovery import Registry
from ltbench.registry.specs import DatasetSpec
from ltbench.terms.protocol import Protocol
from tests.support.list_factory import write_jpegs

COUNTS = {"train": (5, 2, 1), "val": (1, 1, 1), "test": (2, 2, 2)}


class Tiny(ListedDataset):
    name = "tiny"
    class_names = ("zero", "one", "two")
    mean, std = (0.5,) * 3, (0.5,) * 3
    image_size = resized = 16
    protocols = {"quick": Protocol("quick", "digits", epochs=1)}
    published = Published(COUNTS["train"], COUNTS["test"], COUNTS["val"])
    folders = ("tiny",)
    origin = "this test"
    train_lists, val_lists, test_lists = ("train.txt",), ("val.txt",), ("test.txt",)
    steps = ("Ask for it.", "Unpack it to DATA/tiny.")


def write_tiny(root: Path) -> Path:
    """Write the set with different digits as images, and return its folder."""
    images = load_digits().images.astype("uint8") * 15
    folder, start = root / "tiny", 0
    for part, counts in COUNTS.items():
        names = write_jpegs(folder / part, images[start:start + sum(counts)])
        start += sum(counts)
        labels = [k for k, count in enumerate(counts) for _ in range(count)]
        lines = [f"{part}/{name} {label}\n" for name, label in zip(names, labels, strict=True)]
        (folder / f"{part}.txt").write_text("".join(lines))
    return folder


def registry_of_tiny() -> Registry:
    registry = Registry()
    spec = DatasetSpec("tiny", "tests.support.tiny:Tiny", "for this test", 3)
    registry.datasets.add(Registered(spec, "test", "test", "0"))
    return registry
