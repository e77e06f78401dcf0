"""The Containerfile and the citation say what the README, the Makefile and pyproject.toml say; no image is built here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from ltbench.cli.main import build_parser
from ltbench.registry.discovery import load_registry
from tests.project.test_packaging import build
from tests.support.blocks import ROOT

CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = CONFIGURATION["project"]
TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")
LINES = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]


def _of(instruction: str) -> list[str]:
    return [rest for word, rest in LINES if word == instruction]


def test_it_installs_as_the_readme_does() -> None:
    (run,) = _of("RUN")
    typed = re.search(r"^\$ (python3 -m venv .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert typed is not None and typed[1] == f"{run} && source .venv/bin/activate"
    (image,) = _of("FROM")
    version = re.fullmatch(r"python:3\.(\d+)-slim", image)
    tested = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert version is not None and f'"3.{version[1]}"' in tested
    assert int(version[1]) >= int(PROJECT["requires-python"].removeprefix(">=3."))


COPIED = [word.rstrip("/") for line in _of("COPY") for word in line.split()[:-1]]


def test_it_copies_what_the_wheel_is_built_from() -> None:
    packed = CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert sorted(COPIED) == sorted(["pyproject.toml", PROJECT["readme"], "LICENSE", *packed])


@pytest.mark.slow
def test_the_wheel_is_built_from_what_it_copies_alone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree)
    assert build("wheel", tree, tmp_path / "wheel").name.startswith(f"ltbench-{PROJECT['version']}-")


def test_it_runs_what_make_board_runs() -> None:
    parser = build_parser(load_registry(strict=False))
    (command,) = _of("CMD")
    recipe = re.search(r"^board:.*\n\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    assert json.loads(command) == shlex.split(recipe[1].replace("$(OUT)", "runs").replace("$(RUN)", ""))
    for typed in re.findall(r"^#   podman run .* ltbench (ltbench .*)$", TEXT, re.MULTILINE) + [" ".join(json.loads(command))]:
        parser.parse_args(shlex.split(typed)[1:])


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]  # nobody is named in one place alone
    assert citation["message"] and citation["title"].startswith(PROJECT["name"])
