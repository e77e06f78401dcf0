"""Run every built-in method as one of several processes, or as a single one, to compare stages and records.

Usage: every_method_worker.py FOLDER ACCUMULATION [EXPRESSION...]. Records go to ``FOLDER/out``, stages to ``FOLDER/cache``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from ltbench.data.digits import DigitsLT
from ltbench.planning.plan import RunPlan, plan_run
from ltbench.planning.request import How
from ltbench.registry.discovery import load_registry
from ltbench.running.runner import Runner
from ltbench.terms.task import Task
from ltbench.testing import scene
from ltbench.testing.backbone import NAME
from ltbench.testing.subject import Subject
from ltbench.training.distributed import make_accelerator
from ltbench.training.store import StageStore
from tests.support.methods import NEED_A_FILE

# Five epochs, so that what begins in the last fifth of a training begins. 94 images make three global batches an epoch; 24
# divides by three processes, and by two with two accumulation steps each.
EPOCHS, BATCH = 5, 24
PROTOCOL = DigitsLT.protocols["smoke"].replace(epochs=EPOCHS, batch_size=BATCH, backbone=NAME, stage2_draws=2.0,
                                               stage2_batch_size=BATCH)


def expressions() -> list[str]:
    """Return every method as a first stage, as a later one, or both."""
    methods = [method for method in load_registry(strict=False).methods if method not in NEED_A_FILE]
    return [text for method in methods for text in Subject(method).expressions]


def plans(texts: list[str]) -> list[RunPlan]:
    task = Task(DigitsLT.name, 20.0, protocol=PROTOCOL.name)
    return [plan_run(text, task, Subject(text.rpartition("/")[2]).on(PROTOCOL), scene.installed(), DigitsLT()) for text in texts]


def main(folder: Path, accumulation: int, texts: list[str]) -> None:
    accelerator = make_accelerator(cpu=True)
    runner = Runner(scene.installed(), accelerator, StageStore(folder / "cache", 10**10), {DigitsLT.name: DigitsLT()},
                    How(folder / "out", accumulation=accumulation, keep="nothing"))
    runner.run(plans(texts or expressions()))
    if accelerator.num_processes > 1:
        accelerator.wait_for_everyone()
        dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
