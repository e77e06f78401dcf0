"""Which parts of a dataset are there: a set with one list missing can still have the others checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ltbench.data.base import Dataset
from ltbench.data.listed import FileDataset, ListedDataset
from ltbench.data.parts import ImageSource
from ltbench.errors import MissingData, UserError

PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Opened:
    """Hold one part, or why it cannot be had.

    Args:
        file: The list that says which they are, where there is one.
        error: One line instead of the images.
    """

    name: str
    source: ImageSource | None = None
    file: Path | None = None
    error: UserError | None = None

    @property
    def missing(self) -> bool:
        """Whether it is not there at all, as against damaged."""
        return isinstance(self.error, MissingData)


def open_parts(dataset: Dataset, root: Path | None) -> list[Opened]:
    """Open what there is of a dataset, without opening an image.

    Returns:
        In the order train, val, test; without the validation part where the set has none.
    """
    if isinstance(dataset, ListedDataset):
        opened = [_listed(dataset, name, root) for name in PARTS if name != "val" or dataset.val_lists]
        if all(part.missing for part in opened):
            raise next(part.error for part in opened if part.error)
        return opened
    try:
        # The files themselves: a pack of them is checked when it is opened.
        parts = dataset.load_files(root) if isinstance(dataset, FileDataset) else dataset.load(root, download=False)
    except MissingData:
        raise
    except UserError as error:  # such as a file that is not the official one; which part it belongs to its line says
        return [Opened("train", error=error)]
    except OSError as error:  # such as a folder that may not be entered
        raise UserError(f"{dataset.name} cannot be read: {error}") from error
    return [Opened(name, source) for name in PARTS if (source := getattr(parts, name)) is not None]


def _listed(dataset: ListedDataset, name: str, root: Path | None) -> Opened:
    names = {"train": dataset.train_lists, "val": dataset.val_lists, "test": dataset.test_lists}[name]
    try:
        file, source = dataset.read_part(names, root)
    except UserError as error:
        return Opened(name, error=error)
    return Opened(name, source, file)
