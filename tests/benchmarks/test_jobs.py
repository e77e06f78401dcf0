"""Four seeds side by side against one after the other: whole commands, from the start of Python to the last record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

GOAL = 2.5
SEEDS = ["--methods", "ce", "--seeds", "0,1,2,3", "--protocol", "quick"]
CPU = ["--dataset", "digits-lt", "--epochs", "150", "--cpu"]
GPU = ["--dataset", "cifar100-lt", "--epochs", "60"]


def measure(benchmark: BenchmarkFixture, folder: Path, options: list[str], jobs: int) -> None:
    """Time one command that finds nothing done."""
    if benchmark.disabled:
        pytest.skip("nothing to see untimed: other tests compare the records")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-m", "ltbench.cli.main", "run", *SEEDS, *options, "--jobs", str(jobs),
               "--out", str(folder / "runs"), "--cache", str(folder / "cache")]
    benchmark.pedantic(subprocess.run, (command,), {"check": True, "env": environment, "capture_output": True}, rounds=1)
    assert len(list((folder / "runs").glob("*.json"))) == 4


@pytest.mark.benchmark(group="four seeds of digits on two cores or more")
@pytest.mark.parametrize("jobs", [1, 2])
def test_on_two_cores(jobs: int, benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    if jobs == 1:
        benchmark.extra_info["reference"] = True
    measure(benchmark, tmp_path, CPU, jobs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.benchmark(group="four seeds of CIFAR-100-LT on one GPU")
@pytest.mark.parametrize("jobs", [1, 4])
def test_on_one_gpu(jobs: int, benchmark: BenchmarkFixture, tmp_path: Path, cifar100_root: Path) -> None:
    if jobs == 1:
        benchmark.extra_info["reference"] = True
    else:
        benchmark.extra_info["goal"] = GOAL
    measure(benchmark, tmp_path, [*GPU, "--data-root", str(cifar100_root)], jobs)
