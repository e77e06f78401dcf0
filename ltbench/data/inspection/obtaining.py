"""How to get a dataset: fetched by ltbench, or by a person who accepts its terms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ltbench.data.base import Dataset
from ltbench.data.fetched import downloading
from ltbench.data.inspection.parts import PARTS
from ltbench.errors import UserError

EMBEDDED, DOWNLOAD = "embedded", "download"


def in_short(name: str, source: str) -> str:
    """Say in a few words how to get a dataset."""
    if source == EMBEDDED:
        return "nothing to get"
    return f"{'downloaded' if source == DOWNLOAD else 'explained'} by: ltbench data get {name}"


def fetch(dataset: Dataset, root: Path | None) -> dict[str, int]:
    """Download what is missing of a dataset.

    Returns:
        The images of each part, by its name.
    """
    try:
        with downloading(dataset.name, root):
            parts = dataset.load(root, download=True)
    except OSError as error:  # of a loader that lets the network's errors through
        raise UserError(f"{dataset.name} cannot be downloaded: {error}") from error
    return {name: len(source.labels) for name in PARTS if (source := getattr(parts, name)) is not None}


def instructions(dataset: Dataset, root: Path | None) -> Iterator[str]:
    """Yield the steps by which a person gets a dataset."""
    if not dataset.steps:
        raise UserError(f"{dataset.name} must be got by hand, and its plugin does not say how")
    if root is None:
        yield "DATA is a folder of your choice: name it with --data-root, or once and for all in the variable LTBENCH_DATA."
    else:
        yield f"DATA is {str(root)!r}."
    last = f"Look whether everything is there and right: ltbench data check {dataset.name}"
    yield from (f"{number}. {step}" for number, step in enumerate((*dataset.steps, last), start=1))
