from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.data.base import Parts
from ltbench.data.cifar import Cifar100LT
from ltbench.data.digits import DigitsLT


@pytest.fixture(scope="session")
def digits() -> Parts:
    return DigitsLT().load(None)


@pytest.fixture(scope="session")
def cifar100(cifar100_root: Path) -> Parts:
    return Cifar100LT().load(cifar100_root)
