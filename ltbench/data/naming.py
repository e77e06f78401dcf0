"""From what a user typed to a dataset: ``name``, ``name@ratio``."""

from __future__ import annotations

from ltbench.data.base import Dataset
from ltbench.registry import Registry
from ltbench.task import parse_dataset


def open_dataset(text: str, registry: Registry) -> tuple[Dataset, float | None]:
    """Return a dataset's description and the imbalance ratio that it is asked for; no data is read.

    Args:
        text: As typed.
        registry: Where names are looked up.

    Raises:
        UserError: If nobody offers the name, or the ratio cannot be.
    """
    entry = registry.datasets.get(text.partition("@")[0])
    ratio = parse_dataset(text, entry.spec.default_ratio)
    dataset: Dataset = entry.load()()
    return dataset, ratio
