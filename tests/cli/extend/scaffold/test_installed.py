"""Every kind of plugin, made, installed and run: all in one environment that is lent the libraries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltbench.cli.extend.scaffold.kinds import KINDS
from tests.support.stranger import ROOT, make_environment, run_program

pytestmark = pytest.mark.slow

# What starts processes of its own takes the longest: `plugin check` does it once for all, below.
APART = "not two_processes and not many_classes"
NAMES = [*(f"made_{kind.replace('-', '_')}" for kind in KINDS), "cutmix"]  # the last of a file that was there before
METHODS = sorted([*(f"made_{kind.replace('-', '_')}" for kind, what in KINDS.items() if what.noun == "method"), "cutmix"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one plugin of every kind and one of a file, and install all."""
    from ltbench.cli.main import main

    folder = tmp_path_factory.mktemp("stranger")
    for kind in KINDS:
        assert main(["plugin", "new", f"made-{kind}", "--kind", kind, "--out", str(folder / "made")]) == 0
    assert main(["plugin", "new", "--from", str(ROOT / "examples" / "cutmix.py"), "--out", str(folder / "made")]) == 0
    make_environment(folder, sorted((folder / "made").iterdir()))
    return folder


def test_all_are_found(folder: Path) -> None:
    done = run_program(folder, "ltbench", "plugins", "--json")
    states = {row["name"]: row["state"] for row in json.loads(done.stdout) if row["distribution"] != "ltbench"}
    assert states == dict.fromkeys(NAMES, "ok")


def test_they_pass_their_own_tests_as_generated(folder: Path) -> None:
    done = run_program(folder, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-k", APART,
                       "--rootdir", str(folder / "made"), str(folder / "made"))
    assert done.returncode == 0, done.stdout
    # 16 checks and one or two tests of its own for each method; one check and tests for the dataset and the metric.
    assert "passed" in done.stdout and "failed" not in done.stdout and "skipped" not in done.stdout


def test_they_pass_the_checks_that_start_processes(folder: Path) -> None:
    done = run_program(folder, "ltbench", "plugin", "check", "--only", "two_processes,many_classes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert sorted({row["name"] for row in found}) == METHODS and len(found) == 2 * len(METHODS)


def test_they_run_together_with_what_is_built_in(folder: Path) -> None:
    methods = ("ce,made_loss+made_regularizer/made_stage2,made_experts+made_loss,made_two_branch,made_contrastive+drw,"
               "made_fixed_head+cutmix")
    done = run_program(folder, "ltbench", "run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--dataset", "made-dataset",
                       "--methods", methods, "--out", str(folder / "runs"))
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")]
    assert len(records) == 6 and {record["status"] for record in records} == {"completed"}
    assert all("rare_over_frequent" in record["metrics"]["extra"]["made_metric"] for record in records)
    assert {tuple(record["split"]["class_counts"][-2:]) for record in records} == {(3, 3)}
