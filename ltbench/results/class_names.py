"""What classes are called: a record carries it beside its counts, so that a class of it is more than a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ltbench.data.class_names import known_names, said
from ltbench.errors import UserError
from ltbench.results.text import printable

if TYPE_CHECKING:
    from ltbench.data.base import Dataset
    from ltbench.data.parts import ImageSource
    from ltbench.registry.discovery import Registry
    from ltbench.results.schema import Record

Named: TypeAlias = "Callable[[Record], Sequence[str] | None]"  # what says how the classes of a record are called


def class_names(dataset: Dataset, train: ImageSource) -> list[str] | None:
    """Return the names of a dataset's classes in the order of the labels, as printable text; None where there are but numbers.

    Args:
        train: The training part, see :func:`ltbench.data.class_names.known_names`.
    """
    names = known_names(dataset, train)
    return None if names is None else [printable(name) for name in names]


def recorded_names(record: Record) -> Sequence[str] | None:
    """Return the names that a record carries, None where it carries none."""
    return record.split.class_names


def names_of_record(record: Record, registry: Registry) -> Sequence[str] | None:
    """Return the names that a record carries; of one that carries none, those of the installed dataset of its name.

    Args:
        registry: Of the installed plugins.
    """
    if record.split.class_names is not None:
        return record.split.class_names
    from ltbench.data.naming import dataset_of_record

    try:
        names: Sequence[str] = dataset_of_record(record.task.dataset, registry).class_names
    except UserError:  # somebody's own images, or a dataset that is not installed
        return None
    return said(names) if len(names) == len(record.split.class_counts) else None
