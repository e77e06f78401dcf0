"""What the listing verbs share: a table for people, as wide as their terminal at most, and JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any


def show(rows: Sequence[dict[str, Any]], *, as_json: bool, problems: Sequence[str] = ()) -> int:
    """Print rows, and plugin problems to stderr.

    Without a terminal a table is 100 columns wide at most; ``COLUMNS`` says otherwise.
    """
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(list(rows), indent=1))
    elif rows:
        from tabulate import tabulate

        cells = [[_text(value) for value in row.values()] for row in rows]
        # Tabulate keeps two more signs than a heading has.
        natural = [max(len(heading) + 2, *map(len, column)) for heading, *column in zip(rows[0], *cells, strict=True)]
        limits = fitting(natural, shutil.get_terminal_size((100, 24)).columns - 2 * (len(natural) - 1))
        table = tabulate(cells, headers=list(rows[0]), disable_numparse=True, maxcolwidths=list(limits))
        head, rest = table.split("\n", 1)
        styled = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        print(f"\033[1m{head}\033[0m\n{rest}" if styled else table)
    return 0


def fitting(natural: Sequence[int], available: int) -> list[int]:
    """Return the widths of columns that share a line: the widest give way first, to ten signs at least.

    Args:
        natural: Of each column, what it would take.
        available: For all of them.
    """
    widest = max(natural)
    while widest > 10 and sum(min(width, widest) for width in natural) > available:
        widest -= 1
    return [min(width, widest) for width in natural]


def size_text(count: int | None) -> str:
    """Write a size in bytes for people."""
    if count is None:
        return "unknown"
    value, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def _text(value: Any) -> str:
    if value is None:
        return "—"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
