"""Which code a result came from: file hashes, the distribution, the commit."""

from __future__ import annotations

import functools
import hashlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import ltbench

# Raised whenever the core's training changes its results, so that stored stages of before are not taken for new ones.
TRAINING_REVISION = 1


@functools.cache
def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def source_hashes(kind: type[Any]) -> dict[str, str]:
    """Return the files that a class and its bases outside torch and the core are written in, with their sha256.

    Args:
        kind: The class.

    Returns:
        ``package/file.py`` -> hash; no path of a machine.
    """
    found = {}
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in ("ltbench", "torch", "builtins", "typing", "abc"):
            continue
        name = inspect.getsourcefile(sys.modules[base.__module__])
        if name:
            path = Path(name)
            found[f"{'/'.join(base.__module__.split('.')[:-1]) or root}/{path.name}"] = file_hash(path)
    return found


@functools.cache
def core_version() -> dict[str, Any]:
    """Return the core's version, its commit and whether the checkout was changed; commit None outside a checkout."""
    folder = Path(ltbench.__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    tracked = commit is not None and _git(folder, "ls-files", "--error-unmatch", "__init__.py") is not None
    dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no", "..")) if tracked else None
    return {"version": ltbench.__version__, "commit": commit if tracked else None, "dirty": dirty}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
