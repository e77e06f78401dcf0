"""A stranger's distribution, installed into a fresh environment beside a regular install of ltbench."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stranger import ROOT, make_environment, run_program

EXAMPLE = ROOT / "examples" / "ltbench-example"
Program = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install ltbench and the example."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(EXAMPLE, folder / "example", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    make_environment(folder, [folder / "example"])
    return folder


@pytest.fixture(scope="module")
def program(folder: Path) -> Program:
    """Return what runs a program of the environment, away from the checkout."""
    return lambda name, *arguments: run_program(folder, name, *arguments)


def records(folder: Path) -> dict[str, dict[str, object]]:
    return {record["expression"]: record for record in (json.loads(path.read_text()) for path in folder.glob("*.json"))}


def test_the_plugin_is_found(program: Program, folder: Path) -> None:
    listed = {row["name"]: row for row in json.loads(program("ltbench", "methods", "--json").stdout)}
    assert listed["label_aware_smoothing"]["distribution"] == "ltbench-example" and listed["ce"]["distribution"] == "ltbench"
    where = program("python", "-c", "import ltbench, ltbench_example; print(ltbench.__file__); print(ltbench_example.__file__)")
    assert all(Path(line).is_relative_to(folder / "env") for line in where.stdout.split())


def test_its_method_runs_next_to_and_with_built_in_ones(program: Program, folder: Path) -> None:
    out = folder / "digits"
    done = program("ltbench", "run", "--methods", "ce,label_aware_smoothing,label_aware_smoothing+drw,ce/label_aware_smoothing",
                   "--dataset", "digits-lt", "--protocol", "smoke", "--seeds", "0", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = records(out)
    assert set(found) == {"ce", "label_aware_smoothing", "label_aware_smoothing+drw", "ce/label_aware_smoothing"}
    assert {record["status"] for record in found.values()} == {"completed"}
    (method,) = found["label_aware_smoothing"]["stages"][0]["methods"]  # type: ignore[index]
    assert (method["distribution"], method["version"]) == ("ltbench-example", "0.1.0")
    assert list(method["sources"]) == ["ltbench_example/label_aware_smoothing.py"]
    assert found["ce"]["key"] != found["label_aware_smoothing"]["key"]


def test_its_dataset_runs(program: Program, folder: Path) -> None:
    out = folder / "patches"
    done = program("ltbench", "run", "--methods", "label_aware_smoothing,ce/ncm", "--dataset", "patches-lt",
                   "--protocol", "smoke", "--seeds", "0", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = records(out)
    assert set(found) == {"label_aware_smoothing", "ce/ncm"}
    # 150, 97, 63, 41, 27, 17, 11 and 7 images at ratio 20; a smoke test keeps ten of each at most.
    assert found["ce/ncm"]["split"]["class_counts"] == [10, 10, 10, 10, 10, 10, 10, 7]  # type: ignore[index]


def test_its_own_tests_pass(program: Program, folder: Path) -> None:
    done = program("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder / "example"),
                   str(folder / "example" / "tests"))
    assert done.returncode == 0, done.stdout
    assert "24 passed" in done.stdout


def test_a_method_of_a_plugin_that_is_left_out_is_unknown(program: Program) -> None:
    done = program("ltbench", "run", "--methods", "label_aware_smoothing", "--no-plugin", "ltbench-example", "--dry-run")
    assert done.returncode == 2 and done.stderr.startswith("ltbench: unknown method 'label_aware_smoothing'")
