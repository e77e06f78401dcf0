"""A step of built-in later stages at iNaturalist's 8,142 classes, 512 features: never a (B, C, D) array, nor C x C x anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not STATUS.exists(), reason="peaks are read from Linux's /proc")]

CLASSES, WIDTH, BATCH = 8142, 512, 64

# One process imports for all; each method is tried in a fork of it, for what is freed need not go back to the system.
STEPS = f"""
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from torch import nn
from ltbench.registry.discovery import load_registry
from ltbench.method.experts import ExpertHead
from ltbench.method.heads import DistanceClassifier
from ltbench.method.context import Bank
from ltbench.training.loop import measured
from tests.support.stages import facts, later_stage, previous_stage, train
from ltbench.system.memory import peak_memory
counts = [54] * {CLASSES}  # as many as 437,513 / 8,142, of which the bank has two
labels = torch.arange(2 * {CLASSES}) % {CLASSES}
bank = Bank(torch.randn(2 * {CLASSES}, {WIDTH}), labels)
methods = load_registry().methods
# What stands on centroids, what on experts, and what on a linear classifier.
linear = previous_stage(nn.Linear({WIDTH}, {CLASSES}), {WIDTH}, {CLASSES})
centroids = previous_stage(DistanceClassifier({WIDTH}, {CLASSES}), {WIDTH}, {CLASSES})
experts = previous_stage(nn.Linear({WIDTH}, {CLASSES}), {WIDTH}, {CLASSES})
experts.head = ExpertHead([nn.Linear({WIDTH} // 2, {CLASSES}) for _ in range(2)])
options = {{"lncm_local": {{"rank": 1}}, "local_projection": {{"rank": 1}},  # which hold C r d numbers
           "shike_rebalance": {{"experts": 2}}}}
def one(name):
    kind = methods.get(name).load()
    below = centroids if name.startswith("multi") else experts if "experts" in options.get(name, {{}}) else linear
    engine = later_stage(kind(facts(counts, {WIDTH}), **options.get(name, {{}})), bank, below)
    if engine.stack.trains:
        train(engine, bank, 1, {BATCH})
        engine.eval()
        measured(engine)
    assert engine.predict(bank.embedding[:{BATCH}]).shape == ({BATCH}, {CLASSES})
one("crt")  # libraries load on first use
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        before = peak_memory()
        one(name)
        print(name, (peak_memory() - before) / 2**20, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""
# In MiB. One (C, D) tensor takes 16, one (B, C) tensor 2; one (B, C, D) tensor takes 1,018, one (C, C) 253.
LIMIT = 400
# Which train on images only, or stand on a head of their own kind: tests/testing/test_many_classes.py tries all methods.
ELSEWHERE = {"bn_stats", "dro_lt_public", "mixup", "remix", "hyperspherical_psc", "tsc", "m2m", "mislas", "oltr", "cb_experts",
             "cb_calibration", "lfme"}


def later_methods() -> list[str]:
    from ltbench.method.stack import evaluation_only
    from ltbench.registry.discovery import load_registry

    registry = load_registry().methods.values()
    later = [entry for entry in registry if entry.spec.stages != {1} and entry.spec.name not in ELSEWHERE]
    return sorted(entry.spec.name for entry in later if not evaluation_only(entry.load()))


def test_a_step_takes_room_for_classes_by_features_and_no_more() -> None:
    methods = later_methods()
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1",
              "MALLOC_MMAP_THRESHOLD_": str(2**20)}  # what is freed goes back: else the allocator's habits are measured too
    done = subprocess.run([sys.executable, "-c", STEPS, *methods], env=places, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    growth = {name: float(mebibytes) for name, mebibytes in (line.split() for line in done.stdout.splitlines())}
    assert len(methods) > 30 and list(growth) == methods
    assert {name: round(value) for name, value in growth.items() if value > LIMIT} == {}, growth
