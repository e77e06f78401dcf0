"""Many classes and samples need no room for what is never built: peaks of processes of their own."""

from __future__ import annotations

import pytest

from tests.support.peaks import STATUS, extra_mebibytes

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not STATUS.exists(), reason="peaks are read from Linux's /proc")]

DISTANCES = """
from ltbench_ncm.multi_distance import nearest_displaced_distance
x, c, shifts = torch.randn(256, 256), torch.randn(8142, 256), torch.randn(20, 256, requires_grad=True)
nearest_displaced_distance(x[:2], c[:2], shifts).sum().backward()  # libraries that load on first use are not its own room
before = peak_memory()
distance = nearest_displaced_distance(x, c, shifts)
distance.sum().backward()
assert distance.shape == (256, 8142) and shifts.grad.isfinite().all()
print((peak_memory() - before) / 2**20)
"""

FIT = """
from ltbench.method.heads import DistanceClassifier
from ltbench.method.context import Bank
from ltbench_ncm.multi_ncm import MultiNCM
from tests.support.stages import facts, later_stage, previous_stage
bank = Bank(torch.randn(20_000, 64), torch.arange(20_000) % 1000)
below, method = previous_stage(DistanceClassifier(64, 1000), 64, 1000), MultiNCM(facts([20] * 1000, 64))
before = peak_memory()
engine = later_stage(method, bank, below)
assert engine.head.classifier.displacements.norm(dim=1).min() > 0
print((peak_memory() - before) / 2**20)
"""


def test_distances_of_thousands_of_classes_need_no_room_for_displacements() -> None:
    # 8,142 classes, 21 centroids each: 159 MiB for one (B, C, K) tensor, 40 GiB for (B, C, K, D). Measured: 68.
    assert extra_mebibytes(DISTANCES) < 100


def test_displacements_start_without_logits_of_all_samples() -> None:
    # 76 MiB for one (N, C) tensor, and the classifier makes several: 552 in all. Measured: 28.
    assert extra_mebibytes(FIT) < 300
