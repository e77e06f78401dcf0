"""Time of a label-to-prototype assignment after the second epoch of a training (figure 3c of Saadabadi et al., 2024).

``make bench`` measures, at up to 10,000 classes; in the ordinary tests each way runs once on few classes, to show that it works.
The table of docs/appendix.md is what ``python -m tests.benchmarks.assignments`` prints.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from torch import Tensor

from tests.benchmarks import assignments

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

FEW, LONG = 200, 5_000  # classes; from so many on scipy takes minutes on plain costs


@functools.lru_cache(maxsize=1)
def problem(classes: int) -> tuple[Tensor, Tensor]:
    prototypes, means = assignments.training(classes, 2)
    return means[-1], prototypes


@pytest.mark.parametrize("name", assignments.WAYS)
@pytest.mark.parametrize("classes", [1_000, 4_000, 8_142, 10_000])
def test_assignment(benchmark: BenchmarkFixture, classes: int, name: str) -> None:
    if not assignments.installed(name):
        pytest.skip(f"{assignments.WAYS[name][1]} is not installed")
    if classes > LONG and name in ("scipy_plain", "lap"):
        pytest.skip("takes minutes")
    if benchmark.disabled and classes > 1_000:
        pytest.skip("the smallest size shows that it works")
    benchmark.group = f"an assignment of {classes:,} labels, with the product"
    benchmark.extra_info["reference"] = name == ("scipy_centered" if classes > LONG else "scipy_plain")
    means, prototypes = problem(FEW if benchmark.disabled else classes)
    found = benchmark.pedantic(assignments.WAYS[name][0], (means, prototypes), rounds=3 if classes < LONG else 1)
    assert (found == assignments.ours(means, prototypes)).all()
