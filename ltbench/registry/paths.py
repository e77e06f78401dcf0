"""A path typed where the name of a dataset must stand: what the user may have meant by it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from itertools import islice

from ltbench.registry.specs import DatasetSpec

_LOOKED_AT = 1000  # entries of a folder: a hint is not worth reading a large tree


def meant_path(typed: str, specs: Sequence[DatasetSpec]) -> tuple[str, str]:
    """Return the name that opens a path, and what is wrong with the path itself; either may be empty.

    Args:
        specs: Of the datasets that there are; a family says which files it opens.
    """
    try:
        possible = b"\0" not in os.fsencode(typed)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        return "", ""  # no file can be called so
    path = os.path.expanduser(typed)
    families = [spec for spec in specs if spec.endings]
    named = next((spec for spec in families if typed.lower().endswith(spec.endings)), None)
    if os.path.isdir(path):
        held = next((spec for spec in families if spec.patterns and _holds(path, spec.endings)), None)
        return f"{held.name if held else 'folder:'}{typed}", ""
    if os.path.isfile(path):
        return f"{named.name if named else 'list:'}{typed}", ""
    several = re.sub(r"\{[^{}]*\}", "*", path)  # braces stand for some names, as in a shell
    nowhere = "/" in typed.partition(":")[0] and not any(glob.iglob(several))
    return f"{named.name}{typed}" if named and named.patterns else "", "no such file or folder" if nowhere else ""


def _holds(folder: str, endings: tuple[str, ...]) -> bool:
    """Tell whether files of such names lie in a folder's own folders, or, where it has none, in it."""
    below = _some(os.path.join(glob.escape(folder), "*", "*")) or _some(os.path.join(glob.escape(folder), "*"))
    return any(name.lower().endswith(endings) for name in below)


def _some(pattern: str) -> list[str]:
    return list(islice(glob.iglob(pattern), _LOOKED_AT))
