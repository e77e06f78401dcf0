"""Make a virtual environment hold what pyproject.toml asks for, and do nothing when it does already.

Run by the Makefile with any Python that is new enough; needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent

# Runs inside the environment: prints what is missing, too old or installed from another checkout. Walks the whole tree of
# requirements, as `pip check` does, in a fraction of its time and with the extras.
CHECK = """
import importlib.metadata as metadata, json, pathlib, sys
from pip._vendor.packaging.requirements import Requirement
from urllib.request import url2pathname
from urllib.parse import urlparse
root, *extras = sys.argv[1:]
todo, seen, problems = [("ltbench", frozenset(extras), "")], set(), []
while todo:
    name, wanted, why = todo.pop()
    if (name.lower(), wanted) in seen:
        continue
    seen.add((name.lower(), wanted))
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        problems.append(f"{name} is missing{why}")
        continue
    for line in found.requires or ():
        need = Requirement(line)
        if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
            continue
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            version = None
        if version and not need.specifier.contains(version, prereleases=True):
            problems.append(f"{name} needs {need.name}{need.specifier}, but {version} is installed")
        todo.append((need.name, frozenset(need.extras), f", which {name} needs"))
try:
    origin = json.loads(metadata.distribution("ltbench").read_text("direct_url.json") or "{}").get("url", "")
    if pathlib.Path(url2pathname(urlparse(origin).path)).resolve() != pathlib.Path(root):
        problems.append("ltbench is installed from another folder")
except metadata.PackageNotFoundError:
    pass
print(json.dumps(problems))
"""


def fingerprint(extras: list[str]) -> str:
    """Return a hash of everything that decides what the environment must hold."""
    parts = [(ROOT / "pyproject.toml").read_bytes(), repr(sys.version_info[:2]).encode(), ",".join(extras).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python on its own, whatever PYTHONPATH says."""
    return subprocess.run([str(python), "-I", *arguments], capture_output=True, text=True)


def problems(python: Path, extras: list[str]) -> list[str]:
    """Return what does not fit, one line each."""
    checked = run(python, "-c", CHECK, str(ROOT), *extras)
    return list(json.loads(checked.stdout)) if checked.returncode == 0 else [checked.stderr.strip().splitlines()[-1]]


def usable(python: Path) -> bool:
    """Tell whether the environment's Python starts, has pip and is of the same version as this one."""
    if not python.exists():
        return False
    answer = run(python, "-c", "import pip, sys; print(sys.version_info[:2])")
    return answer.returncode == 0 and answer.stdout.strip() == repr(tuple(sys.version_info[:2]))


def prepare(folder: Path, extras: list[str]) -> None:
    """Create, complete or keep the environment.

    Args:
        extras: Of the distribution, to be installed too. What another call installed stays.

    Raises:
        SystemExit: If installing fails or leaves something that does not fit.
    """
    python = folder / "bin" / "python"
    stamp = folder / "ltbench-stamp.json"
    if not usable(python):
        print(f"creating {folder} with Python {sys.version_info.major}.{sys.version_info.minor}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    stamps = json.loads(stamp.read_text()) if stamp.exists() else []
    if fingerprint(extras) in stamps and not problems(python, extras):
        return
    target = str(ROOT) + (f"[{','.join(extras)}]" if extras else "")
    print("installing ltbench and what it needs (the first time several gigabytes, for torch)", flush=True)
    stamp.unlink(missing_ok=True)
    installed = subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", target])
    left = problems(python, extras)
    if installed.returncode or left:
        raise SystemExit("the environment could not be completed" + "".join(f"\n  {line}" for line in left))
    # A stamp of an older pyproject.toml is worth nothing; one of the same file without the extras still holds.
    stamp.write_text(json.dumps(sorted({fingerprint(extras), fingerprint([])})))


def main() -> None:
    """Read the command line and prepare the environment."""
    if sys.version_info < OLDEST:
        raise SystemExit(f"Python must be {OLDEST[0]}.{OLDEST[1]} or later, got {sys.version.split()[0]}; "
                         "try make PYTHON=python3.12")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extra", action="append", default=[])
    arguments = parser.parse_args()
    prepare(arguments.folder, sorted(arguments.extra))


if __name__ == "__main__":
    main()
