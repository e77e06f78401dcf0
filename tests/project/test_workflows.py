"""The workflows for those who keep a fork on GitHub: they parse, and the commands in them exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ltbench.cli.main import build_parser
from ltbench.registry.discovery import load_registry

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(file: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [step for job in content["jobs"].values() for step in job["steps"]]


def lines(file: Path) -> list[str]:
    return [line.strip() for step in steps(file) for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_command_exists(file: Path) -> None:
    parser = build_parser(load_registry(strict=False))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    own = [line for line in lines(file) if line.startswith((".venv/bin/ltbench", "make "))]
    assert own
    for line in own:
        words = shlex.split(re.split(r" >>? ", line)[0])
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)
        else:
            parser.parse_args(words[1:])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_that_a_stranger_writes_is_pasted_into_a_shell(file: Path) -> None:
    """A branch's or a pull request's title in a script would be run: such values come in through the environment."""
    assert not [line for line in lines(file) if "${{" in line]


def test_records_are_judged_by_the_code_that_they_ask_to_enter() -> None:
    file = ROOT / ".github" / "workflows" / "results.yml"
    code, submitted = (step for step in steps(file) if step.get("uses", "").startswith("actions/checkout"))
    assert "with" not in code and submitted["with"]["path"] == "submitted"  # the base's code, and the change beside it as data
    assert not [line for line in lines(file) if "submitted" in line and not line.startswith(".venv/bin/ltbench")]
