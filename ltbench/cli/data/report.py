"""The report of a check, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ltbench.cli.listing import size_text
from ltbench.data.base import Dataset
from ltbench.data.inspection.check import Report
from ltbench.data.inspection.compare import expected
from ltbench.data.inspection.counts import draw_histogram, histogram
from ltbench.data.inspection.findings import shortened
from ltbench.data.published import Totals


def exit_code(report: Report) -> int:
    """Return 1 if something is wrong, 2 if a part that a run needs is not there, else 0."""
    if report.findings:
        return 1
    return 2 if {"train", "test"} - set(report.parts) else 0


def as_text(report: Report, dataset: Dataset, memory: int) -> Iterator[str]:
    """Yield the report line by line; what is wrong comes last, where the eye is.

    Args:
        memory: Peak of the process in bytes.
    """
    from tabulate import tabulate

    rows = []
    for name, part in report.parts.items():
        for title, totals in ((name, Totals.of(part.counts)), ("published", expected(name, dataset.published))):
            if totals is not None:
                rows.append([title, *(f"{value:,}" for value in _totals(name, totals).values())])
    header = ["", "images", "largest class", "smallest", "many", "medium", "few"]
    aligned = ["left"] + ["right"] * (len(header) - 1)
    yield dataset.name
    yield from tabulate(rows, headers=header, colalign=aligned, disable_numparse=True, missingval="-").splitlines()
    for name, part in report.parts.items():
        if part.file is not None:
            yield f"{name} list: {str(part.file)!r}"
        if part.found is not None:
            failed = len(report.unreadable.get(name, ()))
            decoded = f"{len(part.source.labels) - failed:,} decoded" if part.decoded else "not decoded"
            yield f"{name} files: {part.found:,} of {len(part.source.labels):,} found, {decoded}"
    if "train" in report.parts:
        yield "training images of a class, classes:"
        yield from (f"  {line}" for line in draw_histogram(histogram(report.parts["train"].counts)))
    seconds = ", ".join(f"{step} {taken:.1f}" for step, taken in report.seconds.items())
    yield f"seconds: {seconds}; peak memory: {size_text(memory)}"
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"absent: {line}" for line in report.absent)
    yield from (f"problem: {line}" for line in shortened(report.findings))
    wrong = f"{len(report.findings):,} problem{'s' if len(report.findings) > 1 else ''}"
    files = [part for part in report.parts.values() if part.found is not None]
    sound = "sound" if all(part.decoded for part in files) else "sound, but its images were not decoded"
    hint = " (--full decodes them)" if any(part.found and not part.decoded for part in files) else ""
    yield {0: sound + hint, 1: wrong, 2: "incomplete"}[exit_code(report)]


def _totals(part: str, totals: Totals) -> dict[str, int]:
    """Return totals by name; many, medium and few are of the training part alone."""
    return {name: value for name, value in asdict(totals).items() if part == "train" or name not in ("many", "medium", "few")}


def as_json(report: Report, dataset: Dataset, memory: int) -> dict[str, Any]:
    """Return the whole report as JSON types."""
    parts = {}
    for name, part in report.parts.items():
        published = expected(name, dataset.published)
        parts[name] = {
            "list": None if part.file is None else str(part.file),
            "files_found": part.found,
            "decoded": None if part.found is None else part.decoded,
            "class_counts": part.counts.tolist(),
            **_totals(name, Totals.of(part.counts)),
            "published": None if published is None else _totals(name, published),
            "histogram": [asdict(group) for group in histogram(part.counts)],
        }
    return {
        "dataset": dataset.name,
        "exit_code": exit_code(report),
        "parts": parts,
        "absent": report.absent,
        "problems": [asdict(finding) for finding in report.findings],
        "unreadable": [{"part": name, "index": index, "path": path, "reason": reason}
                       for name, images in report.unreadable.items() for index, path, reason in images],
        "notes": report.notes,
        "seconds": {step: round(taken, 3) for step, taken in report.seconds.items()},
        "peak_memory_bytes": memory,
    }
