"""Which code a result came from: file hashes, the distribution, the commit."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ltbench import version
from ltbench.registry.session_text import is_typed, typed_hash

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
    """Return the sha256 of the files that a class is written in: its own module's and its bases', see :func:`module_hashes`.

    A class that was typed into a session, and not into a file, has the hash of its own text.
    """
    hashes = module_hashes(base.__module__ for base in kind.__mro__)
    return hashes | {f"typed/{base.__name__}": typed_hash(base) for base in kind.__mro__ if is_typed(base)}


def module_hashes(modules: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of modules and of all that they import of their own packages, imported yet or not.

    The core and libraries are left out: versions stand for them.

    Returns:
        ``package/file.py`` -> hash; no path of a machine.
    """
    found: dict[str, str] = {}
    todo, seen = list(modules), set()
    while todo:
        name = todo.pop()
        root = name.partition(".")[0]
        if name in seen or root in ("ltbench", "torch", *sys.stdlib_module_names):
            continue
        seen.add(name)
        file = _source(name)
        if file is not None:
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            found["/".join([*package.split("."), file.name] if package else [file.name])] = file_hash(file)
            todo += _imports(file, package, root)
    return found


@functools.cache
def _source(module: str) -> Path | None:
    """Return a module's file; None for what is no module, or has no source (a namespace package, a compiled module)."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # an attribute of a module, not a module; or the script that is being run
        spec = None
    origin = spec.origin if spec else getattr(sys.modules.get(module), "__file__", None)
    return Path(origin) if origin and origin.endswith(".py") and Path(origin).is_file() else None


@functools.cache
def _imports(path: Path, package: str, root: str) -> tuple[str, ...]:
    """Return the modules of the package ``root`` that a file imports; of a file outside any package, those beside it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            names += [str(base), *(f"{base}.{alias.name}" for alias in node.names)]
    if not package:
        return tuple(name for name in names if (path.parent / f"{name}.py").is_file())
    return tuple(name for name in names if name.partition(".")[0] == root)


@functools.cache
def core_version() -> dict[str, Any]:
    """Return the core's version, its commit and whether the checkout was changed; commit None outside a checkout."""
    folder = Path(version.__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    tracked = commit is not None and _git(folder, "ls-files", "--error-unmatch", "__init__.py") is not None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "..") if tracked else None
    known = changes is not None  # a commit without an answer to what was changed since says nothing
    return {"version": version.__version__, "commit": commit if known else None, "dirty": bool(changes) if known else None}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
