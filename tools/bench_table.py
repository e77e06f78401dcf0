"""Turn the JSON of pytest-benchmark into ratios: how many times as fast as the reference of its group each entry is.

Run by ``make bench`` with any Python that is new enough; needs nothing but the standard library. A benchmark marks the peer that
its group is compared with by ``benchmark.extra_info["reference"] = True``, and what should be reached by, say,
``benchmark.extra_info["goal"] = 1.35``. Of a peer too slow to wait for, a part is measured, and
``benchmark.extra_info["scale"]`` says how many such parts there are. Minima are compared: what else the machine did can only add
to a time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Print the tables of a file as Markdown."""
    if len(arguments) != 1:
        print("usage: bench_table.py FILE", file=sys.stderr)
        return 2
    try:
        entries = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))["benchmarks"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{arguments[0]} must be a file that pytest --benchmark-json wrote: {type(error).__name__}", file=sys.stderr)
        return 2
    print("\n".join(tables(entries)))
    return 0


def tables(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the lines of all tables, one for each group."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry["group"] or "without a group", []).append(entry)
    for number, (name, members) in enumerate(groups.items()):
        if number:
            yield ""
        yield from table(name, members)


def table(name: str, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the lines of one group's table, the quickest first.

    Args:
        entries: Its members; with other than one reference among them there is nothing to compare with.
    """
    references = [_seconds(entry) for entry in entries if entry["extra_info"].get("reference")]
    reference = references[0] if len(references) == 1 else None
    yield from (f"| {name} | time | times as fast | goal |", "| --- | ---: | ---: | --- |")
    for entry in sorted(entries, key=_seconds):
        seconds = _seconds(entry)
        ratio = None if reference is None else reference / seconds
        shown = "" if ratio is None else f"{ratio:.3g}" if ratio < 10 else f"{ratio:,.0f}"
        time = f"{_duration(seconds)}{_scaled(entry)}"
        yield f"| {entry['name'].removeprefix('test_')} | {time} | {shown} | {_goal(entry, ratio)} |"


def _seconds(entry: Entry) -> float:
    return float(entry["stats"]["min"]) * float(entry["extra_info"].get("scale", 1))


def _scaled(entry: Entry) -> str:
    scale = entry["extra_info"].get("scale", 1)
    return "" if scale == 1 else f" ({scale:,.0f} times a part)"


def _goal(entry: Entry, ratio: float | None) -> str:
    goal = entry["extra_info"].get("goal")
    if goal is None:
        return "reference" if entry["extra_info"].get("reference") else ""
    if ratio is None:
        return f"{goal:g}"
    return f"{goal:g}" if ratio >= goal else f"{goal:g}, missed"


def _duration(seconds: float) -> str:
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
