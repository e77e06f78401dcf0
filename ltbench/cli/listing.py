"""What the listing verbs share: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def show(rows: Sequence[dict[str, Any]], *, as_json: bool, problems: Sequence[str] = ()) -> int:
    """Print rows, and plugin problems to stderr."""
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(list(rows), indent=1))
    elif rows:
        from tabulate import tabulate

        cells = [{key: _text(value) for key, value in row.items()} for row in rows]
        print(tabulate(cells, headers="keys", disable_numparse=True))
    return 0


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
