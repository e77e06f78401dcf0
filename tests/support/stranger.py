"""A fresh environment as a stranger has it, which is lent the heavy libraries of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make_environment(folder: Path, sources: Sequence[Path]) -> None:
    """Make an environment without this one's ltbench, and install a regular ltbench and other distributions into it.

    Args:
        folder: Where it is made, as ``env``.
        sources: Folders of distributions; building leaves traces in them.
    """
    pytest.importorskip("hatchling")
    venv.create(folder / "env", with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder / "env"), "platbase": str(folder / "env")}))
    lent = folder / "lent"
    lent.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "ltbench" not in entry.name.lower() and entry.suffix != ".pth":
            (lent / entry.name).symlink_to(entry)
    (site / "lent.pth").write_text(f"{lent}\n")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "env" / "bin" / "python"), "install", "--no-deps",
               "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    done = subprocess.run([*install, str(_copy_core(folder)), *map(str, sources)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def run_program(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment, away from the checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"LTBENCH_STRICT": "1", "LTBENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [str(folder / "env" / "bin" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def _copy_core(folder: Path) -> Path:
    """Copy the core, so that building it leaves nothing behind in the checkout."""
    core = folder / "core"
    core.mkdir()
    for name in ("ltbench", "plugins", "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, core / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, core / name)
    return core
