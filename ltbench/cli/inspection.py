"""What the doctor looks at: each function returns facts as JSON types and what is wrong about them, one line each."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ltbench.cli import torch_probe
from ltbench.errors import UserError
from ltbench.system.settings import cache_limit, cache_root, cores, data_root

PACKAGES = ("ltbench", "torch", "torchvision", "timm", "accelerate", "pluggy", "tabulate", "scikit-learn", "numpy", "scipy",
            "safetensors", "tqdm")
_PAIR = "install a matched pair: pip install --upgrade torch torchvision"
_PROBE_SECONDS = 300  # a cold import of torch from a network disk can take minutes


def python() -> str:
    """Return version and platform, without the host's name."""
    return f"{platform.python_version()} ({platform.system()} {platform.machine()})"


def machine() -> dict[str, int | None]:
    """Return the cores that this process may use and the memory in bytes (None where the system does not say)."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        memory = None
    return {"cores": cores(), "memory": memory}


def packages() -> tuple[dict[str, str | None], list[str]]:
    """Return the versions of what ltbench stands on, None for what is missing."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    missing = [name for name, version in versions.items() if version is None]
    return versions, [f"{name} is not installed: pip install {name}" for name in missing]


def torch_state(versions: dict[str, str | None]) -> tuple[dict[str, Any], list[str]]:
    """Try torch and torchvision in a process of their own and return what torch sees."""
    # -P keeps the folder of the probe, with all its modules, off the child's path.
    command = [sys.executable, "-P", torch_probe.__file__]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        problem = f"torch was not imported within {_PROBE_SECONDS} s"
        return {"problem": problem, "torchvision_problem": None, "devices": []}, [problem]
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):  # the process died without a word of Python's
        found = {"torch_problem": f"the process that imported it ended with code {done.returncode}"}
    state = {"problem": found["torch_problem"], "torchvision_problem": found.get("torchvision_problem"),
             "devices": found.get("devices", [])}
    if state["problem"] and versions["torch"]:
        return state, [f"torch {versions['torch']} cannot be used ({state['problem']}); {_PAIR}"]
    if state["torchvision_problem"] and versions["torchvision"]:
        return state, [f"torchvision {versions['torchvision']}{_wanted_torch()} does not fit torch {versions['torch']} "
                       f"({state['torchvision_problem']}); {_PAIR}"]
    return state, []


def _wanted_torch() -> str:
    requirements = importlib.metadata.requires("torchvision") or []
    wanted = [match[1] for line in requirements if (match := re.match(r"torch\s*\(?([<>=!~][^);]*)", line))]
    return f" (needs torch{wanted[0].strip()})" if wanted else ""


def data(registry: Any, given_root: str | None, *, readable: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the folder of data and, for each dataset, ``found`` or the one line that its loader says."""
    root = data_root(given_root)
    problems = []
    if root is not None and not root.is_dir():
        problems.append(f"the data folder {root} does not exist")
    if not readable:
        states = {entry.spec.name: "not tried" for entry in registry.datasets.values() if not entry.spec.is_family}
    else:
        states, broken = _sights(registry, root)
        problems += broken
    return {"root": None if root is None else str(root), "datasets": states}, problems


def _sights(registry: Any, root: Path | None) -> tuple[dict[str, str], list[str]]:
    from ltbench.data.inspection.found import ABSENT, BROKEN, DAMAGED, see  # imports torch, which may be what is broken

    states, problems = {}, []
    for entry in registry.datasets.values():
        if entry.spec.is_family:
            continue  # its members are the user's own, and nobody has named one here
        seen = see(entry, root)
        states[seen.name] = seen.line
        if seen.state == BROKEN:
            problems.append(f"dataset {seen.name} is {seen.line}")
        elif seen.state in (ABSENT, DAMAGED) and entry.spec.source == "embedded":  # nothing that a user could have left out
            problems.append(f"dataset {seen.name}: {seen.line}")
    return states, problems


def cache() -> tuple[dict[str, Any], list[str]]:
    """Return where the stage store is, how big it is and how big it may get."""
    folder = cache_root()
    problems = []
    try:
        limit: int | None = cache_limit()
    except UserError as error:
        limit = None
        problems.append(f"LTBENCH_CACHE_LIMIT: {error}")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        problems.append(f"the cache folder {folder} cannot be written; set LTBENCH_CACHE to one that can")
    return {"folder": str(folder), "bytes": folder_size(folder), "limit": limit}, problems


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder; 0 if there is none."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # another process pruned it meanwhile
                continue
    return total
