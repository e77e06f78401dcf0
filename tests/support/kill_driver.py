"""Run the program several times, each killed at a point of its own; one import of torch serves all of them.

Usage: kill_driver.py JSON ARGUMENT..., where JSON lists the kills: [where, stage, call] or null. Each attempt is a process of its
own, forked before torch has computed anything; it gets SIGKILL at the given call of the given stage. The number of optimizer
steps that the last attempt took, by stage, is printed at the end, and then the exit code of every attempt.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import sklearn.datasets
import torch
import torch._dynamo  # every optimizer imports it, which takes seconds

from ltbench.cli.main import main
from ltbench.running import runner
from ltbench.training import files
from ltbench.training.loop import Loop

calls: dict[tuple[str, int], int] = {}
current_stage = 0


def arm(kill: list[Any] | None) -> None:
    """Replace what is called by something that counts, and that kills where it should."""
    step, save, write = Loop._step, Loop._save, files.save_file

    def reached(where: str, stage: int) -> bool:
        calls[where, stage] = calls.get((where, stage), 0) + 1
        return kill is not None and kill == [where, stage, calls[where, stage]]

    def counted_step(self: Loop, parts: Any) -> Any:
        if reached("step", self.engine.stack.stage):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, parts)

    def counted_save(self: Loop, epoch: int) -> None:
        global current_stage
        current_stage = self.engine.stack.stage
        save(self, epoch)
        if reached("saved", self.engine.stack.stage):
            os.kill(os.getpid(), signal.SIGKILL)

    def torn_write(tensors: Any, path: Any, metadata: Any) -> None:
        write(tensors, path, metadata)
        if reached("writing", current_stage):
            os.truncate(path, Path(path).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    Loop._step, Loop._save, files.save_file = counted_step, counted_save, torn_write  # type: ignore[method-assign]


def attempt(kill: list[Any] | None, arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        arm(kill)
        status = main(arguments)
        print("steps", json.dumps({stage: count for (where, stage), count in calls.items() if where == "step"}), flush=True)
        os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert runner and sklearn.datasets  # imported here once, for all attempts
    codes = [attempt(kill, sys.argv[2:]) for kill in json.loads(sys.argv[1])]
    print("codes", json.dumps(codes))
