"""The workflows for those who keep a fork on GitHub: they parse, and the commands in them exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
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


@pytest.mark.parametrize(("name", "records"), [
    ("leaderboards/digits-lt/results/a.json", "true"), ("leaderboards/digits-lt/board.json", "true"),
    ("leaderboards/index.html", "true"), ("docs/comparing.md", "true"), ("README.md", "true"),
    ("leaderboards/digits-lt/board.toml", "false"), ("leaderboards/reported.csv", "false"), ("ltbench/api.py", "false"),
    ("plugins/README.md", "false"), ("leaderboards/digits-lt/results/deeper/a.json", "false"), ("docs/papers.md.py", "false"),
])
def test_what_counts_as_a_pull_request_of_records(name: str, records: str, tmp_path: Path) -> None:
    """The script of the first step, with a stand-in for the command that names the changed files."""
    scope = steps(ROOT / ".github" / "workflows" / "results.yml")[0]["run"]
    (tmp_path / "gh").write_text(f"#!/bin/sh\necho {name}\n", encoding="utf-8")
    (tmp_path / "gh").chmod(0o755)
    surroundings = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(tmp_path / "output"),
                    "NUMBER": "1", "GITHUB_REPOSITORY": "owner/name"}
    subprocess.run(["bash", "-e", "-c", scope], check=True, cwd=tmp_path, env=surroundings)
    assert (tmp_path / "output").read_text(encoding="utf-8") == f"records={records}\n"


def test_every_file_that_is_made_of_records_counts_as_one_of_them() -> None:
    """What boards generate, and the pages that ``ltbench submit`` has written anew."""
    script = "".join(lines(ROOT / ".github" / "workflows" / "results.yml"))
    made, pages = (re.search(rf"{name}='([^']*)'", script)[1] for name in ("made", "pages"))  # type: ignore[index]
    folder = ROOT / "leaderboards" / "digits-lt"
    generated = [path.name for path in folder.iterdir() if path.is_file() and path.name != "board.toml"]
    assert len(generated) > 4
    assert all(re.fullmatch(made, f"leaderboards/digits-lt/{name}") for name in generated)
    assert all(re.fullmatch(pages, path) for path in ("README.md", "docs/papers.md", "docs/choosing.md", "docs/comparing.md"))


def test_records_are_judged_by_the_code_that_they_ask_to_enter() -> None:
    file = ROOT / ".github" / "workflows" / "results.yml"
    code, submitted = (step for step in steps(file) if step.get("uses", "").startswith("actions/checkout"))
    assert "with" not in code and submitted["with"]["path"] == "submitted"  # the base's code, and the change beside it as data
    assert not [line for line in lines(file) if "submitted" in line and not line.startswith(".venv/bin/ltbench")]
