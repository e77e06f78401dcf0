"""Forward and backward pass of a distance head, against ``torch.cdist`` and against differences of all pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

import ltbench

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CLASSES, FEATURES, BATCH = 1_000, 512, 128


def all_pairs(x: Tensor, c: Tensor) -> Tensor:
    return (x[:, None] - c).square().sum(dim=2).sqrt()  # (B, C, D) on the way


@pytest.mark.benchmark(group="distance head, 1,000 classes, D = 512, B = 128")
@pytest.mark.parametrize("distance", [ltbench.euclidean_distance, torch.cdist, all_pairs], ids=["ours", "cdist", "all_pairs"])
def test_step(benchmark: BenchmarkFixture, distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    x = torch.randn(BATCH, FEATURES)
    prototypes = torch.randn(CLASSES, FEATURES, requires_grad=True)
    labels = torch.randint(CLASSES, (BATCH,))

    def step() -> Tensor:
        prototypes.grad = None
        torch.nn.functional.cross_entropy(-0.5 * distance(x, prototypes), labels).backward()
        assert prototypes.grad is not None
        return prototypes.grad

    expected = torch.autograd.grad(torch.nn.functional.cross_entropy(-0.5 * torch.cdist(x, prototypes), labels), prototypes)[0]
    torch.testing.assert_close(benchmark(step), expected, atol=1e-5, rtol=1e-3)
