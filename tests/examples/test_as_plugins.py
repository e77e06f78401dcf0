"""The single-file examples, as a stranger uses his own: checked and run through the program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltbench.cli import main as program
from tests.examples.conftest import EXAMPLES

FILES = {"cutmix": "Yun et al., 2019", "momentum_contrast": "He et al., 2020"}
MOST_LINES = 80


def plugins() -> list[str]:
    return [word for name in FILES for word in ("--plugin", str(EXAMPLES / f"{name}.py"))]


def test_each_is_one_short_file() -> None:
    for name in FILES:
        assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < MOST_LINES, name


def test_each_says_which_paper_it_is_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["methods", "--json", *plugins()]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {name: rows[name]["paper"] for name in FILES} == FILES
    assert all(rows[name]["distribution"] == f"file:{name}.py" for name in FILES)


@pytest.mark.slow
def test_each_passes_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    code = program.main(["plugin", "check", *plugins(), "--json"])
    found = json.loads(capsys.readouterr().out)
    failed = [result for result in found if result["state"] == "failed"]
    assert not failed and code == 0
    assert {result["name"] for result in found} >= set(FILES)


@pytest.mark.slow
def test_they_run_with_each_other_and_with_built_in_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stacks = {"cutmix+ldam+drw", "gcl+cutmix", "cmo+balanced_softmax", "cmo+gcl/crt"}
    arguments = ["run", *plugins(), "--dataset", "digits-lt", "--protocol", "smoke", "--seeds", "0", "--cpu",
                 "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert program.main([*arguments, "--methods", ",".join(sorted(stacks))]) == 2
    assert "'cmo' and 'gcl' cannot stand in one stack: both own 'step'" in capsys.readouterr().err
    stacks.remove("cmo+gcl/crt")
    assert program.main([*arguments, "--methods", ",".join(sorted({*stacks, "gcl/crt"}))]) == 0
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*.json")]
    assert len(found) == 4 and {record["status"] for record in found} == {"completed"}
