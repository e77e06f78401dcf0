"""The transcript of docs/publishing.md, typed again into a fresh environment."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.support.blocks import blocks_of
from tests.support.stranger import make_environment, run_program

PAGE = "docs/publishing.md"
INSTALLS = ["python3 -m venv .venv", "source .venv/bin/activate", "pip install ."]  # as make_environment does
OFFLINE = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]


@pytest.mark.slow
def test_the_transcript_in_a_fresh_environment(tmp_path: Path) -> None:
    make_environment(tmp_path, [])
    installs, *blocks = (block for block in blocks_of(PAGE) if block.title or block.language == "console")
    assert installs.commands == INSTALLS
    said = {}
    for block in blocks:
        if block.title:
            assert (tmp_path / block.title).exists(), "what is edited was generated"
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        for command in block.commands if block.language == "console" else []:
            program, *arguments = shlex.split(command)
            if program == "pip":
                program, arguments = "python", ["-m", "pip", *arguments, *OFFLINE]
            done = run_program(tmp_path, program, *arguments)
            assert done.returncode == 0, command + done.stdout + done.stderr
            said[command] = done.stdout
    assert ", 0 failed, " in said["ltbench plugin check ltbench-teeter"]
    board = said["ltbench leaderboard runs"]
    assert all(f"| {name} " in board for name in ("ce", "teeter", "teeter+mixup/crt"))
