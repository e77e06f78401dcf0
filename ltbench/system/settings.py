"""Where things are kept: environment variables and their defaults."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ltbench.errors import UserError

_MOST_WORKERS = 16
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def data_root(given: str | Path | None = None) -> Path | None:
    """Return the folder that datasets are read from: the argument, else ``LTBENCH_DATA``, else None."""
    value = given or os.environ.get("LTBENCH_DATA")
    return Path(value).expanduser() if value else None


def cache_root(given: str | Path | None = None) -> Path:
    """Return the folder of the stage store: the argument, else ``LTBENCH_CACHE``, else ``~/.cache/ltbench``."""
    value = given or os.environ.get("LTBENCH_CACHE")
    return Path(value).expanduser() if value else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ltbench"


def parse_size(text: str) -> int:
    """Read a size in bytes such as ``500M`` or ``20G``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if not match:
        raise UserError(f"a size must be a number with K, M, G or T, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])


def cores() -> int:
    """Return how many cores the process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone knows what a container leaves to a process
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def data_workers() -> int:
    """Return how many processes decode images: ``LTBENCH_WORKERS`` (0 for none), else a share of the cores, at most 16."""
    text = os.environ.get("LTBENCH_WORKERS")
    if text:
        if not text.isdecimal():
            raise UserError(f"LTBENCH_WORKERS must be a number >= 0, got {text!r}")
        return int(text)
    share = cores() // int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    return max(1, min(_MOST_WORKERS, share))


def cache_limit() -> int:
    """Return how many bytes the stage store may take: ``LTBENCH_CACHE_LIMIT``, else 20 GB."""
    try:
        return parse_size(os.environ.get("LTBENCH_CACHE_LIMIT") or "20G")
    except UserError as error:
        raise UserError(f"LTBENCH_CACHE_LIMIT: {error}") from None
