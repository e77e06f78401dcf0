"""Stands for a worker in the tests of a crew: it speaks the language and trains nothing.

Usage: fake_worker.py FOLDER. What it is told first is a dictionary: number of a run -> what it does with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from pathlib import Path

from ltbench.running.jobs.messages import Event, GiveUp, Obtained, Ready, Refused, Result


def say(answer: object) -> None:
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def main(folder: Path) -> None:
    acts = pickle.load(sys.stdin.buffer)
    (folder / f"pid-{os.getpid()}").touch()
    if acts.get("start") == "refuse":
        say(Refused("no such data"))
    if acts.get("start") == "break":
        sys.exit("nothing works here")
    say(Ready())
    while (command := pickle.load(sys.stdin.buffer)) is not None:
        with (folder / "log").open("a") as log:
            log.write(f"{os.getpid()} {' '.join(map(str, command))}\n")
        if isinstance(command, GiveUp):
            say(Result("failed"))
            continue
        match acts.get(command.number):
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "half a line":
                for part in ("begun by ", str(command.number), f", ended by {command.number}\n"):
                    sys.stderr.write(part)
                    sys.stderr.flush()
                    time.sleep(0.2)
            case "hang":
                say(Obtained(1))
                time.sleep(60)
            case "exit":
                sys.exit(7)
        say(Obtained(1))
        say(Event("ltbench_epoch_end", {"number": command.number}))
        say(Result("completed"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
