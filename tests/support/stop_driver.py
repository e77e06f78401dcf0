"""Run the program several times, each stopped by a signal from outside at a moment of its own; one import serves all attempts.

Usage: stop_driver.py JSON ARGUMENT..., where JSON lists the attempts: [signal, seconds] or null; the seconds count from when the
program takes signals, however long a busy machine needs to get there. Each attempt is a process of its own, forked before torch
has computed anything. Their exit codes are printed at the end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import sklearn.datasets
import torch
import torch._dynamo  # every optimizer imports it, which takes seconds

from ltbench.cli import main as program
from ltbench.running import runner


@contextmanager
def telling(stoppable: Callable[[], AbstractContextManager[None]], write: int) -> Iterator[None]:
    """Tell the driver that the program takes signals from now on."""
    with stoppable():
        os.write(write, b".")
        yield


def attempt(stop: tuple[int, float] | None, arguments: list[str]) -> int:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        program.stoppable = partial(telling, program.stoppable, write)
        os._exit(program.main(arguments))
    if stop is not None:
        os.read(read, 1)
        time.sleep(stop[1])
        os.kill(child, stop[0])  # one that has ended is not forgotten before it is waited for
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert runner and sklearn.datasets  # imported here once, for all attempts
    print("codes", json.dumps([attempt(stop, sys.argv[2:]) for stop in json.loads(sys.argv[1])]))
