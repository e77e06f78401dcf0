"""The check at iNaturalist's 8,142 classes: no step may take room for every pair of them, nor for (image, class, feature)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ltbench.data.base import Dataset
from ltbench.data.loader import evaluation_batches
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.task_data import TaskData, load_task_data
from ltbench.planning.plan import RunPlan, plan_run
from ltbench.system.memory import peak_memory
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.testing import scene
from ltbench.testing.patience import Patience
from ltbench.testing.processes import last_words, one_thread
from ltbench.testing.results import Failure, Result, brief
from ltbench.testing.subject import Subject
from ltbench.testing.training import take_step
from ltbench.training.engine import Engine
from ltbench.training.loop import measured
from ltbench.training.stages import StageRunner

CLASSES = 8142
BATCH = 128
# A class takes D = 64 numbers of the digits' network. In MiB: a (B, C) tensor takes 4, a (C, D) tensor 2, a (B, C, D) tensor
# and a (C, C) tensor 250 each. A linear classifier's step takes 60 in all, one by distances 165.
LIMIT = 240
_CHECK = "many_classes"
_MEND = ("make distances one matrix product (ltbench.pairwise_squared_distance), let statistics stream (ltbench.class_means, "
         "ltbench.row_blocks), and go through pairs of classes block by block")
_SECONDS = 60  # of processor time for one method; far more than those take that pass
_LOOK = 0.05  # seconds between two looks at its process
# glibc: what is freed goes back to the system. Else what it keeps counts too, and that depends on the methods tried before.
_RETURNED = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}
PROTOCOL = Protocol("smoke", "digits", epochs=2, batch_size=BATCH, augmentation=(), stage2_batch_size=BATCH)


class Crowd(Dataset):
    """Hold two training images and one test image of each of many classes; what is on them does not matter here."""

    name = "conformance-crowd"
    class_names = tuple(map(str, range(CLASSES)))
    mean = (0.5,)
    std = (0.3,)
    image_size = 8
    crop_padding = 1
    protocols = {"smoke": PROTOCOL}

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Return noise."""
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(256, (3 * CLASSES, 1, 8, 8), generator=generator, dtype=torch.uint8)
        labels = torch.arange(3 * CLASSES) % CLASSES
        return Parts(TensorImages(pixels[:-CLASSES], labels[:-CLASSES]), TensorImages(pixels[-CLASSES:], labels[-CLASSES:]))


def check_many_classes(methods: Sequence[str], *, plugins: tuple[str, ...] = (),
                       stands_on: str | None = None) -> dict[str, Result]:
    """Take a step and predict with 8,142 classes, in a process of its own whose memory is watched.

    Args:
        stands_on: What a later stage stands on; None for the base method.
    """
    if sys.platform != "linux":
        return {name: Result(name, _CHECK, "skipped", "peaks of memory are read from Linux's /proc") for name in methods}
    results: dict[str, Result] = {}
    while waiting := [name for name in methods if name not in results]:
        found, last = _try(waiting, plugins, stands_on)
        if len(found) < len(waiting):  # the one that ended the process for all after it
            found[next(name for name in waiting if name not in found)] = last
        for name, message in found.items():
            results[name] = Result(name, _CHECK, "failed", message, _MEND) if message else Result(name, _CHECK)
    return results


def _try(methods: Sequence[str], plugins: tuple[str, ...], stands_on: str | None) -> tuple[dict[str, str], str]:
    """Return what is wrong with the methods that were tried, and how it ended."""
    with scene.scratch() as folder:
        (folder / "job.json").write_text(json.dumps({"methods": list(methods), "plugins": list(plugins), "stands_on": stands_on}))
        command = [sys.executable, "-m", "ltbench.testing.many_classes", str(folder)]
        with (folder / "rank-0.log").open("wb") as log:
            process = subprocess.Popen(command, env={**one_thread(), **_RETURNED}, stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True)
        patience = Patience([process], 2 * _SECONDS * (1 + len(methods)))
        try:
            while process.poll() is None and not patience.ended():
                time.sleep(_LOOK)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # and the fork that it waits for
            process.wait()
        found = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}
        return found, f"its process was ended or did not end: {last_words(folder, 1)}"


def main(folder: Path) -> int:
    """Try every method of the job; write one file for each, empty if nothing is wrong."""
    torch.set_num_threads(1)
    job = json.loads((folder / "job.json").read_text())
    names = [Subject(job["methods"][0], tuple(job["plugins"])).registry.base_method, *job["methods"]]
    for position, name in enumerate(names):
        try:
            subject = Subject(name, tuple(job["plugins"]), job["stands_on"])
            message = next((told for text in subject.expressions if (told := _watch(subject, text, folder))), "")
        except Exception as error:
            message = brief(error)
        if position:  # before that, libraries were loaded, which happens on first use
            (folder / f"{name}.txt").write_text(message, encoding="utf-8")
    return 0


def _watch(subject: Subject, text: str, folder: Path) -> str:
    """Play an expression's last stage in a fork, which starts with the memory that is in use and no peak of before."""
    dataset = Crowd()
    task = Task(dataset.name, None, protocol=PROTOCOL.name)
    plan = plan_run(text, task, subject.on(PROTOCOL), subject.registry, dataset)
    data = load_task_data(dataset, dataset.load(None), task, None)
    runner = subject.usual.runner(folder / "store")
    below: Engine | None = None
    for stage in plan.stages[:-1]:  # nothing is trained: what is below needs no more than the right shape
        below = runner.build(stage, scene.SEED, data, below)
        _fit(below)
        below.eval().requires_grad_(False)
    told = folder / "told"
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == -signal.SIGPROF:
            return f"{text} takes longer than {_SECONDS} seconds for a step with {CLASSES:,} classes"
        return told.read_text(encoding="utf-8") if code == 0 else f"{text} ended its process with {CLASSES:,} classes"
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)  # of its own work, for others may work as well
    message = ""
    try:
        before = peak_memory()
        _play(text, runner, plan, data, below)
        grown = (peak_memory() - before) / 2**20
        if grown > LIMIT:
            message = f"{text} takes {grown:,.0f} MiB with {CLASSES:,} classes, must be at most {LIMIT}"
    except Exception as error:
        message = f"{text} with {CLASSES:,} classes: {brief(error)}"
    told.write_text(message, encoding="utf-8")
    os._exit(0)


def _play(text: str, runner: StageRunner, plan: RunPlan, data: TaskData, below: Engine | None) -> None:
    last = plan.stages[-1]
    engine = runner.build(last, scene.SEED, data, below.trained if below and not last.trial.evaluation_only else below)
    _fit(engine)
    if engine.stack.trains:
        take_step(f"{text} with {CLASSES:,} classes", engine, runner, last, torch.arange(BATCH).numpy(), data)
    engine.eval()
    measured(engine)
    for _, pixels in evaluation_batches(data.parts.test, data.test_indices[:BATCH], BATCH, "cpu"):
        logits = engine.predict(pixels / 255)
        if logits.shape != (BATCH, CLASSES):
            raise Failure(f"predictions must have shape {(BATCH, CLASSES)}, got {tuple(logits.shape)}")


def _fit(engine: Engine) -> None:
    for method in engine.stack.methods:
        method.fit(engine.ctx)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
