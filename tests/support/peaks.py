"""What a script needs of memory, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")

# Not ru_maxrss, in which a child starts at its parent's peak: what it needs itself would be hidden below that.
PEAK = """
import torch
from pathlib import Path
torch.set_num_threads(1)
from ltbench.system.memory import peak_memory
"""


def extra_mebibytes(script: str) -> float:
    """Return by how much a script raises its process's peak."""
    # Large blocks go back to the system when they are freed: what the allocator keeps for itself made 95 MiB 212 now and then.
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
              "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    done = subprocess.run([sys.executable, "-c", PEAK + script], env=places, capture_output=True, text=True, check=True)
    return float(done.stdout)
