from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.data.cifar import Cifar100LT
from ltbench.data.digits import DigitsLT
from ltbench.data.parts import Parts


@pytest.fixture(scope="session")
def digits() -> Parts:
    return DigitsLT().load(None)


@pytest.fixture(scope="session")
def cifar100(cifar100_root: Path) -> Parts:
    return Cifar100LT().load(cifar100_root)
