from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench_hyperspherical.assignment import assign, objective, update_means


def random_unit(count: int, dim: int) -> Tensor:
    return F.normalize(torch.randn(count, dim), dim=1)


def test_by_hand() -> None:
    prototypes = torch.eye(3)
    means = torch.tensor([[0.1, 0.9, 0.0], [0.0, 0.8, 0.5], [1.0, 0.9, 0.0]])
    # Label 1 would like prototype 1 best, but label 0 loses more by giving it up.
    best = assign(means, prototypes, torch.arange(3))
    assert best.tolist() == [1, 2, 0]
    assert float(objective(means, prototypes, best)) == pytest.approx(-(0.9 + 0.5 + 1.0) / 3)


def test_no_bijection_is_better() -> None:
    for _ in range(20):
        means, prototypes = random_unit(6, 3) + 2, random_unit(6, 3)
        best = assign(means, prototypes, torch.arange(6))
        assert sorted(best.tolist()) == list(range(6))
        every = [sum(float(means[j] @ prototypes[k]) for j, k in enumerate(order)) for order in itertools.permutations(range(6))]
        assert float(objective(means, prototypes, best)) == pytest.approx(-max(every) / 6, rel=1e-5)


def test_the_objective_is_never_raised() -> None:
    for seed in range(10):
        means, prototypes = random_unit(40, 5), random_unit(40, 5)
        current = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
        best = assign(means, prototypes, current)
        assert sorted(best.tolist()) == list(range(40))
        before, after = float(objective(means, prototypes, current)), float(objective(means, prototypes, best))
        assert after < before
        assert torch.equal(assign(means, prototypes, best), best)


def test_what_gains_nothing_moves_nothing() -> None:
    current = torch.tensor([2, 0, 1])
    simplex = F.normalize(torch.eye(3) - 1 / 3, dim=1)
    assert torch.equal(assign(torch.zeros(3, 3), simplex, current), current)
    assert torch.equal(assign(torch.ones(3, 1) * simplex[0], simplex, current), current)  # one point for all classes


def test_a_diverged_training_is_left_to_the_loop() -> None:
    current = torch.tensor([1, 0])
    assert torch.equal(assign(torch.tensor([[float("nan"), 0.0], [0.0, 1.0]]), torch.eye(2), current), current)


def test_running_means_by_hand() -> None:
    means = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    features = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    updated = update_means(means, features, torch.tensor([0, 1, 0, 1]), 0.9)
    # Class 0: (.9, .1), then (.91, .09). Class 1 starts at (1, 0), then (.9, .1). Class 2 was not seen.
    torch.testing.assert_close(updated, torch.tensor([[0.91, 0.09], [0.9, 0.1], [0.0, 1.0]]))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_running_means_equal_a_loop_over_samples(momentum: float) -> None:
    means = torch.zeros(7, 4)
    expected = means.clone()
    for _ in range(3):
        features, labels = random_unit(30, 4), torch.randint(6, (30,))
        means = update_means(means, features, labels, momentum)
        for feature, label in zip(features, labels.tolist(), strict=True):
            fresh = bool((expected[label] == 0).all())
            expected[label] = feature if fresh else momentum * expected[label] + (1 - momentum) * feature
    torch.testing.assert_close(means, expected)


TEN_THOUSAND = """
import time, torch
import torch.nn.functional as F
from ltbench.system.memory import peak_memory
from ltbench_hyperspherical.assignment import assign
torch.set_num_threads(1)
torch.manual_seed(0)
prototypes = F.normalize(torch.randn(10_000, 128), dim=1)
means = F.normalize(torch.randn(128) + 0.05 * torch.randn(10_000, 128), dim=1)  # as early in training: nearly parallel
started = time.process_time()
best = assign(means, prototypes, torch.arange(10_000))
assert best.unique().numel() == 10_000
print(time.process_time() - started, peak_memory() / 2**30)
"""


@pytest.mark.slow
def test_ten_thousand_classes() -> None:
    done = subprocess.run([sys.executable, "-c", TEN_THOUSAND], capture_output=True, text=True, check=True)
    seconds, gibibytes = map(float, done.stdout.split())
    assert seconds < 120  # of processor time; 5 on two cores: docs/appendix.md
    assert gibibytes < 2.5
