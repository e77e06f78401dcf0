"""The commands of docs/own-board.md, typed into a fresh environment: from a new board to one that was pushed and cloned."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.blocks import blocks_of
from tests.support.stranger import make_environment, run_program

REMOTE = "https://github.com/NAME/my-board.git"


def git(folder: Path, *arguments: str) -> None:
    names = {f"GIT_{who}_{what}": "somebody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_from_new_to_published(tmp_path: Path) -> None:
    make_environment(tmp_path, [])
    git(tmp_path, "init", "--bare", "--initial-branch", "main", "remote.git")
    blocks = [block for block in blocks_of("docs/own-board.md") if block.language == "console"]
    said: dict[str, str] = {}
    for block in blocks:
        if block is blocks[-1]:  # what somebody else has
            (tmp_path / "my-board").rename(tmp_path / "mine")
            git(tmp_path, "clone", "remote.git", "my-board")
        for command in block.commands:
            name, *arguments = shlex.split(command)
            if name == "git":
                git(tmp_path, *(str(tmp_path / "remote.git") if word == REMOTE else word for word in arguments))
                continue
            done = run_program(tmp_path, name, *arguments)
            assert done.returncode == 0, command + done.stdout + done.stderr
            said[command] = done.stdout
    first = next(block for block in blocks if "board new" in block.text)
    assert said[first.commands[0]].strip() == first.text.partition("\n")[2].strip()  # the page shows what is said
    assert said["ltbench check my-board"].endswith("9 records: 0 refused, 9 warnings, 0 notes\n")  # no commit is known there
    assert "all 5 files are as its records say" in said["ltbench leaderboard my-board --check"]
    readme = (tmp_path / "my-board" / "README.md").read_text()
    assert readme.startswith("# My board\n") and "| ce/crt " in readme
    assert not (tmp_path / "my-board" / "results" / ".leases").exists()
