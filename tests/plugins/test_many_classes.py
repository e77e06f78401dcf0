"""A training step of every built-in later stage at iNaturalist's 8,142 classes: never a (B, C, D) array, nor C x C x anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not STATUS.exists(), reason="peaks are read from Linux's /proc")]

CLASSES, WIDTH, BATCH = 8142, 512, 64

# One process for all methods, which stand in the order of what they need: peaks are forgotten in between.
STEPS = f"""
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from torch import nn
import ltbench
from ltbench.mapped import row_blocks
from ltbench.registry import load_registry
from ltbench.heads import DistanceClassifier
from ltbench.training.context import Bank
from tests.plugins.stages import facts, later_stage, previous_stage, train
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
def forget():
    Path("/proc/self/clear_refs").write_text("5")
counts = [54] * {CLASSES}  # as many as 437,513 / 8,142, of which the bank has two
labels = torch.arange(2 * {CLASSES}) % {CLASSES}
bank = Bank(torch.randn(2 * {CLASSES}, {WIDTH}), labels)
methods = load_registry().methods
# What stands on centroids, and what on a linear classifier.
linear = previous_stage(nn.Linear({WIDTH}, {CLASSES}), {WIDTH}, {CLASSES})
centroids = previous_stage(DistanceClassifier({WIDTH}, {CLASSES}), {WIDTH}, {CLASSES})
options = {{"lncm_local": {{"rank": 1}}, "local_projection": {{"rank": 1}}}}  # which hold C r d numbers
def one(name):
    kind = methods[name].load()
    below = centroids if name.startswith("multi") else linear
    engine = later_stage(kind(facts(counts, {WIDTH}), **options.get(name, {{}})), bank, below)
    if engine.stack.trains:
        train(engine, bank, 1, {BATCH})
        engine.eval()
        for method in engine.stack.methods:
            method.measure(engine.ctx)
    assert engine.predict(bank.embedding[:{BATCH}]).shape == ({BATCH}, {CLASSES})
one("crt")  # libraries load on first use
for name in sys.argv[1:]:
    forget()
    before = peak()
    one(name)
    print(name, peak() - before, flush=True)
"""
# In MiB. One (C, D) tensor takes 16, one (B, C) tensor 2; one (B, C, D) tensor takes 1,018, one (C, C) 253.
LIMIT = 400
METHODS = ("ncm", "lncm", "lncm_la", "lncm_global", "lncm_local", "local_projection", "multi_ncm", "multi_ncm_la", "prototype", "pc",
           "pc_cdt", "pc_la", "prototype_public", "crt", "lws", "tau_norm", "disalign", "iccl_rebalance", "learning_curve", "post_la")


def test_a_step_takes_room_for_classes_by_features_and_no_more() -> None:
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", STEPS, *METHODS], env=places, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    growth = {name: float(mebibytes) for name, mebibytes in (line.split() for line in done.stdout.splitlines())}
    assert set(growth) == set(METHODS)
    assert {name: round(value) for name, value in growth.items() if value > LIMIT} == {}, growth


def test_no_later_stage_is_forgotten() -> None:
    from ltbench.registry import load_registry

    elsewhere = {"bn_stats", "maxnorm", "wd"}  # they train images, or change no step's size
    later = {name for name, entry in load_registry().methods.items() if entry.spec.stages != {1}}
    assert later - elsewhere == set(METHODS)
