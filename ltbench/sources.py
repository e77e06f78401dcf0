"""Which code a result came from: file hashes, the distribution, the commit."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
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
    """Return the sha256 of the files that a class is written in.

    Its own module counts, those of its bases, and what these import of their own package.

    Args:
        kind: The class.

    Returns:
        ``package/file.py`` -> hash; no path of a machine.
    """
    found: dict[str, str] = {}
    todo = [base.__module__ for base in kind.__mro__]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        root = name.partition(".")[0]
        module = sys.modules.get(name)
        if name in seen or module is None or root in ("ltbench", "torch", *sys.stdlib_module_names):
            continue
        seen.add(name)
        file = inspect.getsourcefile(module) if getattr(module, "__file__", None) else None  # a namespace package has no file
        if file:
            path = Path(file)
            folders = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            found["/".join([*folders, path.name])] = file_hash(path)
            todo += _imports(path, module.__package__ or "", root)
    return found


@functools.cache
def _imports(path: Path, package: str, root: str) -> tuple[str, ...]:
    """Return the modules of the package ``root`` that a file imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            names += [str(base), *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.partition(".")[0] == root)


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
