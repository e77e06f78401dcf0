"""Ways to assign labels to prototypes, and the class means of a training to try them on.

``python -m tests.benchmarks.assignments 8142`` prints the table of docs/appendix.md: seconds of every way at each epoch.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ltbench_hyperspherical.assignment import assign, update_means

DIM = 128
Costs = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


def training(classes: int, epochs: int) -> tuple[Tensor, list[Tensor]]:
    """Train a small network by eq. 6, with assignments in between; return prototypes, shape (C, d), and means after each epoch.

    The data is long-tailed (100 to 1 sample a class) and so noisy that labels move about as often as on CIFAR-100-LT: 3 in 4 in
    the second epoch, half in the fifth.
    """
    generator = torch.Generator().manual_seed(0)
    prototypes = F.normalize(torch.randn(classes, DIM, generator=generator), dim=1)
    groups = torch.randn(max(10, classes // 50), 256, generator=generator)  # of classes that are alike
    centers = groups[torch.randint(len(groups), (classes,), generator=generator)]
    centers += 0.7 * torch.randn(classes, 256, generator=generator)
    labels = torch.arange(classes).repeat_interleave((100 * 0.01 ** (torch.arange(classes) / classes)).round().long())
    samples = F.relu(centers[labels] + 3 * torch.randn(len(labels), 256, generator=generator))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, DIM))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    means, taken, found = torch.zeros(classes, DIM), torch.arange(classes), []
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=generator).split(256):
            features = F.normalize(network(samples[rows]), dim=1)
            loss = 0.5 * (1 - (features * prototypes[taken[labels[rows]]]).sum(dim=1)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            means = update_means(means, features.detach(), labels[rows], 0.9)
        taken = assign(means, prototypes, taken)
        found.append(means)
    return prototypes, found


def plain_costs(means: Tensor, prototypes: Tensor) -> Costs:
    """Return what eq. 9 sums, shape (C, C)."""
    costs: Costs = -(means.double() @ prototypes.double().T).numpy()
    return costs


def plain(means: Tensor, prototypes: Tensor) -> Positions:
    """Assign by scipy's solver."""
    return np.asarray(linear_sum_assignment(plain_costs(means, prototypes))[1])


def centered(means: Tensor, prototypes: Tensor) -> Positions:
    """Assign by scipy's solver, without what all means have in common."""
    return plain(means.double() - means.double().mean(dim=0), prototypes)


def ours(means: Tensor, prototypes: Tensor) -> Positions:
    """Assign as the method does."""
    return assign(means, prototypes, torch.arange(len(means))).numpy()


def lap_package(means: Tensor, prototypes: Tensor) -> Positions:
    """Assign by lap's LAPJV, on centered means."""
    import lap

    return np.asarray(lap.lapjv(plain_costs(means.double() - means.double().mean(dim=0), prototypes), return_cost=False)[0])


def lapjv_package(means: Tensor, prototypes: Tensor) -> Positions:
    """Assign by lapjv's LAPJV, on centered means."""
    import lapjv

    return np.asarray(lapjv.lapjv(plain_costs(means.double() - means.double().mean(dim=0), prototypes))[0])


# A way, and the package that it needs.
WAYS: Mapping[str, tuple[Callable[[Tensor, Tensor], Positions], str]] = MappingProxyType({
    "ours": (ours, "scipy"), "scipy_centered": (centered, "scipy"), "lap": (lap_package, "lap"),
    "lapjv": (lapjv_package, "lapjv"), "scipy_plain": (plain, "scipy")})


def installed(name: str) -> bool:
    """Say whether a way's package is there."""
    return importlib.util.find_spec(WAYS[name][1]) is not None


def main(classes: int, epochs: int = 3, *skipped: str) -> None:
    """Print the seconds of every way after each epoch, and how far its total is from the best."""
    prototypes, means = training(classes, epochs)
    for epoch, queries in enumerate(means, 1):
        costs, best = plain_costs(queries, prototypes), ours(queries, prototypes)
        total = costs[range(classes), best].sum()
        for name, (way, _) in WAYS.items():
            if installed(name) and name not in skipped:
                started = time.perf_counter()
                found = way(queries, prototypes)
                seconds = time.perf_counter() - started
                excess = costs[range(classes), found].sum() - total
                print(f"{classes} classes, epoch {epoch}, {name}: {seconds:.2f} s, {excess:+.1e}, "
                      f"{(found != best).sum()} labels elsewhere", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
