"""Statistics of 8,142 classes need room for classes by features, and never for all pairs of classes or for all samples."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not STATUS.exists(), reason="peaks are Linux's")]

# Each figure is computed in a fork, which starts without a peak: what is freed need not go back to the system. Libraries load on
# first use, before.
SCRIPT = """
import os
from collections.abc import Callable
from pathlib import Path
import torch
torch.set_num_threads(1)
import ltbench
from ltbench.data.inat18 import INat18
from ltbench.results.geometry import class_statistics
from ltbench_analysis import collapse
from ltbench_analysis.geometry import centered
from ltbench.method.class_distances import class_distance_normalized_variance
from ltbench_analysis.variance import intra_class_variance
from ltbench.system.memory import peak_memory
counts = torch.tensor(INat18.published.train)
labels = torch.arange(8142).repeat_interleave(counts)
features, means, variance = torch.randn(len(labels), 256), torch.randn(8142, 256), torch.ones(8142)
figures = {
    "means": lambda n: ltbench.class_means(features[:n], labels[:n], 8142),
    "statistics": lambda n: class_statistics(ltbench.row_blocks(features[:n], labels[:n], 4 * 8142), 8142),
    "eigenvalues": lambda n: intra_class_variance(features[:n], labels[:n], 8142),
    "cdnv": lambda n: class_distance_normalized_variance(means[:n], variance[:n]),
    "nc2": lambda n: collapse.simplex_distance(centered(means[:n])),
    "nc3": lambda n: collapse.duality(means[:n], means[:n] + 1),
    "nc4": lambda n: collapse.center_disagreement(means[:n], means, labels[:n][:8142]),
    "nc1": lambda n: collapse.scatter_trace(features[:min(n, 60_000)], labels[:min(n, 60_000)]),
}
for name, figure in figures.items():
    figure(100)
    child = os.fork()
    if child == 0:
        before = peak_memory()
        figure(len(labels))
        print(name, (peak_memory() - before) / 2**20, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""
# In MiB. (C, d) takes 8, in float64 twice that; all features take 427, a (C, C) matrix in float64 506. Most of what is left is
# blocks of 1,024 rows of that matrix.
LIMIT = 300


def test_peaks() -> None:
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1",
              "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=places, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    growth = {name: float(mebibytes) for name, mebibytes in (line.split() for line in done.stdout.splitlines())}
    assert len(growth) == 8 and {name: round(value) for name, value in growth.items() if value > LIMIT} == {}, growth
