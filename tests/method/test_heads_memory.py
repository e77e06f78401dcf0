"""What a step of a distance head adds to the memory of its inputs, at iNaturalist's size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not STATUS.exists(), reason="peaks are read from Linux's /proc")]

STEP = """
import sys, torch
from pathlib import Path
from ltbench.method.heads import DISTANCES
torch.set_num_threads(1)
from ltbench.system.memory import peak_memory
distance = DISTANCES[sys.argv[1]]
c = torch.randn(8142, 2048, requires_grad=True)
x, labels = torch.randn(256, 2048), torch.randint(8142, (256,))
distance(x[:2], c[:2]).sum().backward()  # libraries that load on first use are not its own room
c.grad = None
before = peak_memory()
torch.nn.functional.cross_entropy(-0.5 * distance(x, c), labels).backward()
assert c.grad.isfinite().all()
print((peak_memory() - before) / 2**20)
"""


# One (C, D) tensor takes 64 MiB, of which the gradient is one; a (B, C) one 8; a (B, C, D) one 15.9 GiB.
@pytest.mark.parametrize(("distance", "limit"), [("euclidean", 160), ("squared", 160), ("cosine", 450)])
def test_a_step_needs_little_beside_its_inputs(distance: str, limit: float) -> None:
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
              "MALLOC_MMAP_THRESHOLD_": str(2**20)}  # what is freed goes back: else the allocator's habits are measured too
    done = subprocess.run([sys.executable, "-c", STEP, distance], env=places, capture_output=True, text=True, check=True)
    assert float(done.stdout) < limit
