from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ltbench.data.cifar import Cifar100LT
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.terms.task import Task


@pytest.fixture(scope="session")
def measuring(request: pytest.FixtureRequest) -> bool:
    """Whether times are wanted (``make bench``); in the ordinary tests little work, once, shows that it works."""
    return bool(request.config.getoption("benchmark_enable"))


@pytest.fixture(scope="session")
def cifar100_lt(cifar100_root: Path) -> TaskData:
    """CIFAR-100-LT at ratio 100, or skip."""
    dataset = Cifar100LT()
    return load_task_data(dataset, load_parts(dataset, cifar100_root, download=False), Task(dataset.name, 100.0), None)


@pytest.fixture(scope="module")
def flushed() -> Iterator[None]:
    """Flush denormal numbers in all ways alike, as ``ltbench run`` does."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)
