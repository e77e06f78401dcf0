"""Run the program several times, each stopped by a signal from outside at a moment of its own; one import serves all attempts.

Usage: stop_driver.py JSON ARGUMENT..., where JSON lists the attempts: [signal, seconds] or null. Each attempt is a process of its
own, forked before torch has computed anything. Their exit codes are printed at the end.
"""

from __future__ import annotations

import json
import os
import sys
import time

import sklearn.datasets
import torch
import torch._dynamo  # every optimizer imports it, which takes seconds

from ltbench.cli.main import main
from ltbench.running import runner


def attempt(stop: tuple[int, float] | None, arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        os._exit(main(arguments))
    if stop is not None:
        time.sleep(stop[1])
        os.kill(child, stop[0])  # one that has ended is not forgotten before it is waited for
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert runner and sklearn.datasets  # imported here once, for all attempts
    print("codes", json.dumps([attempt(stop, sys.argv[2:]) for stop in json.loads(sys.argv[1])]))
