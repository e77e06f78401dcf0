"""A bank larger than its makers' and readers' memory: processes of their own, measured and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are Linux's")]

ROWS, WIDTH, CLASSES = 60_000, 1024, 500
BANK = ROWS * WIDTH * 4  # 234 MiB

START = f"""
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from ltbench.training import bank_file
from tests.support.banks import engine_of, made_up, reader_of
root = Path(sys.argv[1])
data, engine = made_up({ROWS}, {CLASSES}), engine_of({WIDTH}, classes={CLASSES})
reader_of(engine, made_up(1000), root / "warm").read("train", "plain")  # libraries load on first use
engine.backbone.calls.clear()
from ltbench.system.memory import peak_memory
before = peak_memory()
"""
MAKE = """
bank = reader_of(engine, data, root).read("train", "plain")
print(sum(engine.backbone.calls), peak_memory() - before)
"""
KILLED = """
put, calls = bank_file.BankFile._put, []
def dying(self, chunk):
    calls.append(len(chunk))
    if len(calls) == 8:
        with self._part.open("ab") as file:
            file.write(b"half a chunk")
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, chunk)
bank_file.BankFile._put = dying
""" + MAKE
READ = f"""
bank = reader_of(engine, data, root).read("train", "plain")
assert not engine.backbone.calls
from types import SimpleNamespace
import numpy as np
import ltbench
from ltbench.data.loader import FeatureLoader
from ltbench.results.geometry import stage_tensors
means = ltbench.class_means(bank.embedding, bank.labels, {CLASSES})
loader = FeatureLoader(bank.embedding, bank.labels, batch_size=512)
order, total, seen = np.random.default_rng(0).permutation({ROWS}), torch.zeros({WIDTH}, dtype=torch.float64), 0
for (batch,) in loader.epoch(order, 0):
    total += batch.embedding.double().sum(dim=0)
    seen += len(batch.labels)
assert seen == {ROWS} // 512 * 512
engine.ctx = SimpleNamespace(facts=SimpleNamespace(num_classes={CLASSES}))
kept = stage_tensors(engine, bank, 2)
assert torch.allclose(kept["stage2.class_means"], means, atol=1e-4)
print(0, peak_memory() - before)
"""


def run(script: str, root: Path) -> tuple[int, int]:
    """Return images that were embedded, and by how many bytes the peak grew."""
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1",
              "MALLOC_MMAP_THRESHOLD_": str(2**20)}  # what is freed goes back: else the allocator's habits are measured too
    done = subprocess.run([sys.executable, "-c", START + script, str(root)], env=places, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or done.returncode
    embedded, growth = done.stdout.split()
    return int(embedded), int(growth)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("banks")


def rows(root: Path) -> Path:
    return root / "stages" / "ab" / "ab1" / "bank-plain.rows"


def test_making_a_bank_takes_a_fraction_of_its_size(root: Path) -> None:
    embedded, growth = run(MAKE, root)
    assert embedded == ROWS and rows(root).stat().st_size == BANK
    assert growth < 120 << 20, f"{growth / 2**20:.0f} MiB"


def test_reading_a_bank_takes_a_fraction_of_its_size(root: Path) -> None:
    """Class means, an epoch of random batches, and the statistics of a stage; the peak counts mapped pages that are held."""
    _, growth = run(READ, root)
    assert growth < 120 << 20, f"{growth / 2**20:.0f} MiB"


def test_a_killed_process_goes_on_and_ends_with_the_same_bytes(root: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=str(-signal.SIGKILL)):
        run(KILLED, tmp_path)
    assert not rows(tmp_path).exists()
    embedded, _ = run(MAKE, tmp_path)
    assert embedded == ROWS - 7 * 4096
    assert rows(tmp_path).read_bytes() == rows(root).read_bytes()
