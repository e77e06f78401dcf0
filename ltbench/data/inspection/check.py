"""The whole check of a dataset, from its lists to its pixels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ltbench.data.arrays import Ints
from ltbench.data.base import Dataset
from ltbench.data.encoded import EncodedImages
from ltbench.data.inspection.compare import compare
from ltbench.data.inspection.contents import between_parts, digests, within_part
from ltbench.data.inspection.counts import class_counts
from ltbench.data.inspection.findings import Finding
from ltbench.data.inspection.parts import Opened, open_parts
from ltbench.data.inspection.readable import Progress, Unreadable, look, unreadable
from ltbench.data.inspection.repeats import repeated
from ltbench.data.parts import ImageSource

MakeProgress = Callable[[str, int], Progress | None]


@dataclass(eq=False)
class Checked:
    """Hold what was found out about one part.

    Attributes:
        file: The list that says which they are, where there is one.
        counts: Images of each class, int64, shape (C,).
        found: How many of its files are there; None where its images are in memory.
        decoded: Whether every file was decoded, with or without success; images in memory need not be.
    """

    source: ImageSource
    file: Path | None
    counts: Ints
    found: int | None = None
    decoded: bool = False


@dataclass(eq=False)
class Report:
    """Hold what was found out about a dataset.

    Attributes:
        absent: Why a part is not there, one line each.
        unreadable: Images that cannot be had, by the part's name.
        notes: What is worth knowing and nobody's mistake, one line each.
        seconds: That each step took, by its name.
    """

    parts: dict[str, Checked] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unreadable: dict[str, list[Unreadable]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def check(dataset: Dataset, root: Path | None, *, full: bool, workers: int, make_progress: MakeProgress) -> Report:
    """Look at a dataset as it lies on the disk, before any long-tailed selection.

    Args:
        full: Whether to decode and to digest every image.
        workers: Processes that decode, and threads that digest.
        make_progress: Given a step's name and its images, what to call as they are done.

    Raises:
        UserError: If nothing of the dataset is there.
    """
    report, clock = Report(), _Clock()
    for part in open_parts(dataset, root):
        _open(part, dataset, report)
    sources = {name: part.source for name, part in report.parts.items()}
    files = {name: source for name, source in sources.items() if isinstance(source, EncodedImages)}
    _check_lists(dataset, report, files)
    clock.stop("lists", report)
    looks = {name: look(source) for name, source in files.items()}
    for name, seen in looks.items():
        report.parts[name].found = seen.found
    if looks:
        clock.stop("files", report)
    if looks and not any(seen.found for seen in looks.values()):
        report.notes.append("no image was found: only the lists were checked")
        if dataset.published is None and not dataset.official:  # a user's own: nobody's lists come without their images
            report.findings += [Finding("unreadable", f"{name}: none of {len(seen.sizes):,} images was found, the first: "
                                                      f"{seen.problems[0][2]}") for name, seen in looks.items() if seen.problems]
        return report
    _check_contents(report, sources, {name: seen.sizes for name, seen in looks.items()}, workers, full=full,
                    mendable=bool(files) and not dataset.official)
    clock.stop("contents", report)
    for name, source in files.items():
        if full:  # decoding names what is not there as well
            report.unreadable[name] = unreadable(source, workers, make_progress(f"decode {name}", len(source.paths)))
            report.parts[name].decoded = True
        else:
            report.unreadable[name] = looks[name].problems
        report.findings += [Finding("unreadable", f"{name}: {reason}") for _, _, reason in report.unreadable[name]]
    if full and files:
        clock.stop("decode", report)
    return report


def _open(part: Opened, dataset: Dataset, report: Report) -> None:
    if part.source is not None:
        counts, wrong = class_counts(part.source.labels, dataset.num_classes, part.name)
        report.parts[part.name] = Checked(part.source, part.file, counts)
        report.findings += wrong
    elif part.missing and part.name == "val":
        report.notes.append("the validation list is not there; no run needs it")
    elif part.missing:
        report.absent.append(f"{part.name} part: {part.error}")
    else:
        report.findings.append(Finding("list", str(part.error)))


def _check_lists(dataset: Dataset, report: Report, files: dict[str, EncodedImages]) -> None:
    report.findings += compare({name: part.counts for name, part in report.parts.items()}, dataset)
    for name, part in report.parts.items():
        if name != "val":
            where = "" if part.file is None else f" in {str(part.file)!r}"
            report.findings += [Finding("empty class", f"{name}: class {k} ({dataset.class_names[k]}) has no image{where}")
                                for k in np.flatnonzero(part.counts == 0)]
    report.findings += repeated(files)


def _check_contents(report: Report, sources: dict[str, ImageSource], sizes: dict[str, Ints], threads: int, *, full: bool,
                    mendable: bool) -> None:
    found = digests(sources, sizes, threads, full=full)
    shared = between_parts(sources, found)
    if mendable:
        report.findings += shared
    elif shared:  # of official files: the authors' duplicates, which no user can mend
        report.notes.append(f"{len(shared):,} images of the published files stand in two parts, the first: {shared[0].line}")
    if full or not sizes:
        within = (within_part(name, source, found[name]) for name, source in sources.items())
        report.notes += [line for line in within if line is not None]


class _Clock:
    """Measure one step after the other."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def stop(self, step: str, report: Report) -> None:
        now = time.perf_counter()
        report.seconds[step] = now - self._last
        self._last = now
