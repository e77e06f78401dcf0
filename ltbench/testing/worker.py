"""One of the two processes that try methods in turn."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import InitProcessGroupKwargs, PartialState
from torch import Tensor

from ltbench.testing import scene
from ltbench.testing.one_process import EARLIER, STATE, place_of
from ltbench.testing.results import Failure, brief
from ltbench.testing.subject import Subject
from ltbench.testing.sums import image_by_image
from ltbench.training.files import save_tensors

_TIMEOUT = timedelta(days=1)  # whoever has started the two ends them when they stand still, however busy the machine is


def main(folder: Path) -> int:
    """Try every method of the job; write one line for each, and stop at the first that this process cannot go on from."""
    job = json.loads((folder / "job.json").read_text())
    PartialState(cpu=True, **InitProcessGroupKwargs(timeout=_TIMEOUT).to_kwargs())
    rank, world = dist.get_rank(), dist.get_world_size()
    with (folder / f"report-{rank}.jsonl").open("a") as reports:
        for name in job["methods"]:
            lost, message = False, ""
            try:
                subject = Subject(name, tuple(job["plugins"]), job["stands_on"], folder / EARLIER)
                for number, text in enumerate(subject.expressions):
                    message = message or _compare(subject, text, place_of(folder, name, number), world)
            except Exception as error:
                lost, message = True, brief(error)
            reports.write(json.dumps({"method": name, "message": message, "lost": lost, "time": time.time()}) + "\n")
            reports.flush()
            if lost:
                return 1
    dist.destroy_process_group()
    return 0


def _compare(subject: Subject, text: str, folder: Path, world: int) -> str:
    """Compare the processes; the first one writes down what it came to, for a single process to be compared with."""
    engine, runner, plan = subject.split.build(text, folder)
    if engine.stack.evaluation_only and plan.previous is not None:
        return ""
    if runner.accelerator.num_processes != world:
        raise Failure(f"{world} processes must work together, got {runner.accelerator.num_processes}")
    # Nothing is read back from the store, which would make the processes equal.
    with image_by_image():
        runner.train(engine, plan, scene.SEED, subject.split.data)
    state = {name: value.detach().cpu() for name, value in engine.state_dict().items()}
    if runner.accelerator.is_main_process:
        save_tensors(folder / STATE, state, runner.store.meta(plan.key))
    everyone: list[dict[str, Tensor]] = [{} for _ in range(world)]
    dist.all_gather_object(everyone, state)
    first, *others = everyone
    for rank, other in enumerate(others, start=1):
        for name, value in first.items():
            if not torch.equal(value, other[name]):
                return f"in {text}, {name} differs between processes 0 and {rank}"
    return ""


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # leaving in order would wait for the other process, which may have gone
