"""The check under two processes: one pair tries many methods in turn, for importing torch twice takes the longest.

The two must end with the same parameters and buffers, and with those of a single process that trains on the same global batches:
on a network without batch norm, which is the one thing that is known to see a part of a batch only.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ltbench.testing import one_process
from ltbench.testing.one_process import EARLIER
from ltbench.testing.patience import Patience
from ltbench.testing.results import Result
from ltbench.testing.scene import scratch
from ltbench.testing.subject import Subject

_CHECK = "two_processes"
_MEND = ("change buffers only from what all processes know: seen (in after_step), ctx.gather(...), ctx.generator, "
         "ctx.class_counts; every parameter that is trained must take part in the step; a loss is a mean over images, or is "
         "computed from gathered rows (ctx.gather), and normalized by batch.global_labels and batch.chunks; images are mixed "
         "with ctx.partners(...); what is drawn for every image is batch.rows_of what was drawn for the global batch")
AGAIN = "nothing is said of the method: try again where fewer other programs run, with --only two_processes,many_classes"
_WORLD = 2
_SECONDS = 120.0  # of processor time for one method, of both together; far more than any takes
_STUCK = "the two processes went on without end, or one of them hung or died"


def check_two_processes(methods: Sequence[str], *, plugins: tuple[str, ...] = (),
                        stands_on: str | None = None) -> dict[str, Result]:
    """Train methods under two gloo processes: parameters and buffers must be equal on both, and near those of one process.

    Args:
        stands_on: What a later stage stands on; None for the base method.
    """
    results: dict[str, Result] = {}
    while waiting := [name for name in methods if name not in results]:
        # A pair that lost one of its processes is of no use: the methods after the one that broke it get a new pair.
        found, words = _try(waiting, plugins, stands_on)
        results |= found
        if not found:  # nor would the next pair: every method has its line all the same
            message = f"two processes could not be started, or not in time: {words}"
            results |= {name: Result(name, _CHECK, "failed", message, AGAIN) for name in waiting}
    return results


def _try(methods: Sequence[str], plugins: tuple[str, ...], stands_on: str | None) -> tuple[dict[str, Result], str]:
    """Return what was found of the methods that either process reported, and the processes' last words."""
    job = {"methods": list(methods), "plugins": list(plugins), "stands_on": stands_on}
    with scratch() as folder:
        (folder / "job.json").write_text(json.dumps(job))
        launch([sys.executable, "-m", "ltbench.testing.worker", str(folder)], _WORLD, folder, seconds=_SECONDS * len(methods))
        reports: dict[str, list[dict[str, str | float]]] = {}
        files = list(folder.glob("report-*.jsonl"))
        for file in files:
            for line in file.read_text().splitlines():
                report = json.loads(line)
                reports.setdefault(report["method"], []).append(report)
        results = {}
        for name in methods:
            if name in reports:
                subject = Subject(name, plugins, stands_on, folder / EARLIER)
                message = _what_is_wrong(reports[name]) or one_process.difference(subject, folder)
                results[name] = Result(name, _CHECK, "failed", message, _MEND) if message else Result(name, _CHECK)
        untold = next((name for name in methods if name not in reports), None)
        if untold and len(files) == _WORLD and not any(report["lost"] for of_one in reports.values() for report in of_one):
            results[untold] = Result(untold, _CHECK, "failed", _STUCK, _MEND)  # they had met, and worked on it
        return results, last_words(folder, _WORLD)


def _what_is_wrong(reports: Sequence[dict[str, str | float]]) -> str:
    # Where one process fails, the other one only reports that it was left alone, later.
    wrong = sorted((float(report["time"]), str(report["message"])) for report in reports if report["message"])
    hung = not wrong and len(reports) < _WORLD
    return _STUCK if hung else wrong[0][1] if wrong else ""


def launch(command: Sequence[str], world: int, folder: Path, *, seconds: float) -> list[int]:
    """Run a command as the ranks of one process group; when one fails, end those that do not end by themselves.

    Args:
        command: Of each process; rank and address stand in its environment, as torchrun has them.
        seconds: Of processor time that all may use together; they are ended, too, when none does anything any more.

    Returns:
        The exit codes; that of a process that had to be ended is negative.
    """
    shared = {**one_thread(), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(free_port())}
    running = []
    for rank in range(world):
        with (folder / f"rank-{rank}.log").open("wb") as log:
            running.append(subprocess.Popen(command, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=log,
                                            stderr=subprocess.STDOUT))
    patience, failed = Patience(running, seconds), False
    try:
        while any(process.poll() is None for process in running) and not patience.ended():
            if not failed and any(process.poll() for process in running):
                failed = True
                patience.shorten()  # the others notice it by themselves, and write down what they saw
            time.sleep(0.02)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.wait()
    return [process.returncode for process in running]


def free_port() -> int:
    """Return a port that nobody listens on, and that no connection is given: systems give away those from 32768 on."""
    for port in random.SystemRandom().sample(range(20000, 32768), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free for the two processes to meet at")


def one_thread() -> dict[str, str]:
    """Return the environment of a process that imports what this one can, and works on one thread."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry), "OMP_NUM_THREADS": "1"}


def last_words(folder: Path, world: int) -> str:
    """Return the last line that each process of :func:`launch` wrote."""
    logs = [(folder / f"rank-{rank}.log").read_text(errors="replace").strip().splitlines() for rank in range(world)]
    return "; ".join(lines[-1] for lines in logs if lines) or "no output"
