from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Say how a process that runs tests has ended, which pytest-xdist does not: -9 for SIGKILL, 1 for an exit."""
    if error:
        with suppress(AttributeError, subprocess.TimeoutExpired):  # execnet's own affairs
            print(f"\n{node.gateway.id} ended with code {node.gateway._io.popen.wait(10)}", file=sys.stderr)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a test as soon as it fails: a suite that is ended from outside never comes to its summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} failed ({report.when}):\n{report.longreprtext[-2000:]}", file=sys.stderr, flush=True)


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's stage store and from the user's choice of plugins."""
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("LTBENCH_DISABLE_PLUGINS", "LTBENCH_STRICT", "LTBENCH_CACHE_LIMIT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def same_draws() -> Iterator[None]:
    """Start every test from one state of torch's generator, whatever ran before it."""
    import torch

    state = torch.get_rng_state()
    torch.manual_seed(0)
    yield
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def digits_batch() -> tuple[object, object]:
    """Return all of scikit-learn's digits: float32 images in [0, 1], shape (1797, 1, 8, 8), and labels, shape (1797,)."""
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    return images, torch.tensor(digits.target, dtype=torch.int64)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of real data sets, or skip."""
    value = os.environ.get("LTBENCH_DATA")
    if not value:
        pytest.skip("LTBENCH_DATA names no folder with data sets")
    return Path(value)


@pytest.fixture(scope="session")
def cifar100_root(data_root: Path) -> Path:
    """Return the folder that holds CIFAR-100, or skip."""
    if not (data_root / "cifar-100-python").is_dir():
        pytest.skip("LTBENCH_DATA holds no cifar-100-python")
    return data_root
