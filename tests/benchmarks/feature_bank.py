"""Make, check and use one feature bank, iNaturalist's size by default; print seconds and peak memory by phase.

Usage: python tests/benchmarks/feature_bank.py FOLDER [ROWS WIDTH CLASSES STEPS]. The images are made up and the backbone is one
product, so that what remains is the bank. Where the folder holds the bank already, it is checked and used.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from ltbench.data.loader import FeatureLoader
from ltbench.data.samplers import ClassBalanced
from ltbench.results.geometry import class_statistics
from ltbench.running.phases import Phases
from ltbench.system.mapped import row_blocks
from ltbench.training.optimization import Optimization
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.banks import engine_of, made_up, reader_of
from tests.support.stages import PROTOCOL, facts, later_stage

BATCH = 512


def main(folder: Path, rows: int = 437_513, width: int = 2048, classes: int = 8142, steps: int = 20) -> None:
    """Do it once and print a table."""
    torch.manual_seed(0)
    phases = Phases(torch.device("cpu"))
    with phases.phase("start"):
        data, engine = made_up(rows, classes), engine_of(width, classes=classes)
    with phases.phase("bank"):
        bank = reader_of(engine, data, folder).read("train", "plain")
    with phases.phase("class means"):
        stage = later_stage(PrototypeClassifier(facts(data.class_counts.tolist(), width), lr=0.1), bank)
    loader = FeatureLoader(bank.embedding, bank.labels, batch_size=BATCH)
    optimization = Optimization(stage, PROTOCOL, steps)
    order = ClassBalanced().draw(data.labels.numpy(), steps * BATCH, np.random.default_rng(0))
    with phases.phase(f"{steps} steps"):
        for step, (batch,) in enumerate(loader.epoch(order, 0)):
            optimization.set_rates(step)
            loss, _, _ = stage({"main": batch})
            optimization.optimizer.zero_grad()
            loss.backward()
            optimization.optimizer.step()
    everything = ClassBalanced().draw(data.labels.numpy(), rows, np.random.default_rng(1))
    with phases.phase("batches of an epoch"):
        for _ in loader.epoch(everything, 1):
            pass
    with phases.phase("statistics"):
        class_statistics(row_blocks(bank.embedding, bank.labels, 4 * classes), classes)
    peaks = phases.peaks()
    for name, seconds in phases.seconds.items():
        print(f"{name}: {seconds:.1f} s, peak {peaks.get(name, 0) / 2**20:,.0f} MiB", flush=True)


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
