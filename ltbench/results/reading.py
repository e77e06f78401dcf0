"""The JSON of a record, read as what it may be: a stranger's file that means harm."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.results.text import printable

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 32  # a record of ltbench's own is 6 deep
MAX_TEXT = 2**20  # bytes of a name or a value


def parse(path: Path) -> Any:
    """Read a file's JSON; what it says is not looked at.

    Refused is whatever two readers could read differently (a key that stands twice, NaN) and whatever breaks the code behind
    (integers and nesting without end, text that is no Unicode).

    Raises:
        UserError: If it cannot be read: one line with the file.
    """
    try:
        value = json.loads(read_bytes(path, MAX_BYTES), parse_constant=_finite, parse_float=_finite, parse_int=_whole,
                           object_pairs_hook=_object)
        _check_content(value)
        return value
    except OSError as error:
        reason = error.strerror or str(error)
    except RecursionError:
        reason = f"it must be nested at most {MAX_DEPTH} deep"
    except ValueError as error:
        reason = str(error).splitlines()[0]
    raise UserError(printable(f"record {path} cannot be read: {reason}"))


def read_bytes(path: Path, limit: int) -> bytes:
    """Return a regular file's content; of a pipe or a device, reading might never end.

    Args:
        limit: Largest size in bytes.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no regular file, or too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it must be a regular file")
    if found.st_size > limit:
        raise ValueError(f"it must be at most {limit} bytes, got {found.st_size}")
    with path.open("rb") as file:
        return file.read(found.st_size)


def lies_in(path: Path, folder: Path) -> bool:
    """Tell whether a file lies below a folder once all links are followed, also those that lead in a circle."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _finite(text: str) -> float:
    """Read a number; JSON has no NaN, and 1e999 would come out infinite."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"every number must be finite, got {text[:40]}")
    return value


def _whole(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= 2**63:
        raise ValueError(f"every integer must be below 2^63, got {text[:40]}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: one reader takes the first, another the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice[:40]!r} must stand once in an object, got it twice")
    return found


def _check_content(value: Any) -> None:
    """Refuse half a surrogate pair, which no file and no hash can take, endless text, and nesting too deep for recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        for item in level:
            for text in (item, *item) if isinstance(item, dict) else (item,):
                if isinstance(text, str) and len(text.encode()) > MAX_TEXT:
                    raise ValueError(f"every text must be at most {MAX_TEXT} bytes, got {len(text.encode())}")
        level = [inner for item in level if isinstance(item, (dict, list))
                 for inner in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return
    raise ValueError(f"it must be nested at most {MAX_DEPTH} deep")
