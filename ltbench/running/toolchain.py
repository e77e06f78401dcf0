"""What ``--compile`` needs of a machine: looked at without importing torch."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path


def compiler_problem() -> str | None:
    """Return why code cannot be compiled here, with what helps; None where it can."""
    # As torch chooses it.
    command = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(next(iter(shlex.split(command)), "")) is None:
        return f"there is no C++ compiler {command!r}; install one, or name one in CXX"
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        return f"Python's headers are missing ({headers / 'Python.h'}); install them (python3-dev, python3-devel)"
    return None
