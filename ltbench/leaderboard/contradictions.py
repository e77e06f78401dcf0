"""Records that cannot all be true: they are of one run, or of one split, and say different things of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ltbench.leaderboard.rows import Run, run_of
from ltbench.results.records import Stored, equal
from ltbench.results.schema import Record

# What two records of one run may call differently: the file beside, and the paper on whose (equal) terms it was run.
_NAMES = ("predictions.file", "paper")
_COUNTS = ("class_counts", "test_counts")


@dataclass(frozen=True)
class Contradiction:
    """Hold two records that are not both true.

    Args:
        first: File of one record.
        second: File of the other.
        run: Split seed and seed of the first.
        fields: Paths of the fields in which they differ.
        shared: What both are of; empty where that is the run.
        left_out: Files of all records that are not used because of it; empty where these two are all.
    """

    first: Path
    second: Path
    run: Run
    fields: tuple[str, ...]
    shared: str = ""
    left_out: tuple[Path, ...] = ()

    def __str__(self) -> str:
        split_seed, seed = self.run
        shown = ", ".join(self.fields[:3]) + (" and more" if len(self.fields) > 3 else "")
        shared = self.shared or f"one run (seed {seed}, split seed {split_seed})"
        used = f"none of its {len(self.left_out)} records" if len(self.left_out) > 2 else "neither"
        return f"records {self.first} and {self.second} are of {shared} and differ in {shown}: {used} is used"


def one_a_run(items: Iterable[Stored]) -> tuple[list[Stored], list[Contradiction]]:
    """Keep one record of each run, in the order of the seeds, and none where its records are not equal.

    Args:
        items: Records of one row.
    """
    runs: dict[Run, list[Stored]] = defaultdict(list)
    for item in items:
        runs[run_of(item.record)].append(item)
    kept: list[Stored] = []
    contradictions: list[Contradiction] = []
    for run, (first, *others) in sorted(runs.items()):
        # A copy may carry another name; what its predictions are is in their hash.
        differing = [tuple(path for path in equal(first.record, other.record) if path not in _NAMES) for other in others]
        contradictions += [Contradiction(first.path, other.path, run, fields)
                           for other, fields in zip(others, differing, strict=True) if fields]
        kept += [] if any(differing) else [first]
    once, found = _one_a_split_seed(kept)
    return once, [*contradictions, *found]


def _one_a_split_seed(items: Iterable[Stored]) -> tuple[list[Stored], list[Contradiction]]:
    """Count runs of one seed once whose split seeds chose the same images: nothing sets them apart. Unequal ones do not count."""
    same: dict[tuple[str, int], list[Stored]] = defaultdict(list)
    kept: list[Stored] = []
    for item in items:
        if item.record.status == "completed":
            same[item.record.split.hash, item.record.task.seed].append(item)
        else:
            kept.append(item)
    contradictions: list[Contradiction] = []
    for (_, seed), (first, *others) in same.items():
        shared = f"one run (seed {seed}, the same training images)"
        found = [Contradiction(first.path, other.path, run_of(first.record), ("predictions",), shared)
                 for other in others if other.record.predictions != first.record.predictions]
        contradictions += found
        kept += [] if found else [first]
    return sorted(kept, key=lambda item: run_of(item.record)), contradictions


def one_split(stored: Iterable[Stored]) -> tuple[list[Stored], list[Contradiction]]:
    """Leave out the records of a split that they do not describe alike: how many images of each class it trains and tests on.

    Where two versions stand against each other, nobody can say which one is true.
    """
    return _one_version(stored, lambda item: tuple(tuple(getattr(item.record.split, name)) for name in _COUNTS), _differing)


def one_labeling(stored: Iterable[Stored], tested: Mapping[Path, str]) -> tuple[list[Stored], list[Contradiction]]:
    """Leave out the records of a split that were not all tested on the same images with the same labels.

    Args:
        tested: Hash of a record's test images and their labels by its file, for those that have predictions.
    """
    return _one_version(stored, lambda item: tested.get(item.path), lambda a, b: ("predictions.labels",))


def _one_version(stored: Iterable[Stored], version: Callable[[Stored], object],
                 differing: Callable[[Record, Record], tuple[str, ...]]) -> tuple[list[Stored], list[Contradiction]]:
    """Leave out the records of each split that has two versions among its completed runs; None is no version."""
    splits: dict[str, list[Stored]] = defaultdict(list)
    for item in stored:
        splits[images_of(item.record)].append(item)
    kept: list[Stored] = []
    contradictions: list[Contradiction] = []
    for items in splits.values():
        versions: dict[object, Stored] = {}
        for item in items:
            if item.record.status == "completed" and (found := version(item)) is not None:
                versions.setdefault(found, item)
        if len(versions) < 2:
            kept += items
            continue
        first, second = list(versions.values())[:2]
        contradictions.append(Contradiction(
            first.path, second.path, run_of(first.record), differing(first.record, second.record),
            f"one split ({first.record.split.hash:.12})", tuple(item.path for item in items)))
    return kept, contradictions


def images_of(record: Record) -> str:
    """Name the images that a record was trained and tested on: records that share it are of one split."""
    unreadable = record.split.unreadable and record.split.unreadable.as_dict()
    return json.dumps([record.task.dataset, record.split.images, unreadable, record.protocol.per_class, record.split.hash],
                      sort_keys=True)


def _differing(a: Record, b: Record) -> tuple[str, ...]:
    return tuple(f"split.{name}" for name in _COUNTS if getattr(a.split, name) != getattr(b.split, name))
