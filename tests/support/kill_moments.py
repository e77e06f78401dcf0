"""Kill or suspend ``ltbench run`` at random moments, run it again, and compare with a run that nobody disturbed.

Usage: kill_moments.py FOLDER MOMENTS [SEED]. A moment is a time, or one of the program's operations on files (before, within or
after it). Of every three moments one disturbs a job that runs alone, one a job beside which another one works on the same cache
and output folder, and one suspends a job (SIGSTOP) until another one has taken over and finished. Each job is a process forked
before torch has computed anything, so one import serves all. Prints a line for each moment; exits with 1 if a rule was broken.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sklearn.datasets
import torch
import torch._dynamo  # every optimizer imports it, which takes seconds

from ltbench.cli.main import main
from ltbench.results import records
from ltbench.results.records import read_geometry
from ltbench.running import runner
from ltbench.running import turns as run_turns
from ltbench.system import lease
from ltbench.training import files

# They share first stages, a bank and a head; 2 seeds.
METHODS = "ce,ce/crt,ldam+drw,ce/ncm"
RUNS = 8
KINDS = ("alone", "beside another", "suspended")
OPERATIONS = ("replace", "fsync", "rename", "unlink", "mkdir", "rmdir", "utime", "truncate")
_PATIENCE = 600  # seconds after which a job counts as blocked, however busy the machine


@dataclass(frozen=True)
class Moment:
    """Say when a job is disturbed: after some seconds, or at an operation."""

    seconds: float | None = None
    operation: int = 0
    when: str = "before"

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s" if self.seconds is not None else f"{self.when} operation {self.operation}"


class Operations:
    """Count a job's operations on files, and disturb it at one of them."""

    def __init__(self, root: Path, moment: Moment | None, number: int, log: Path | None = None) -> None:
        self.root, self.moment, self.signal, self.log = str(root), moment, number, log
        self.count = 0
        for name in OPERATIONS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        Path.write_bytes = self._torn(Path.write_bytes)  # type: ignore[method-assign]
        files.save_file = self._counted("save", files.save_file)

    def _reached(self, when: str) -> None:
        moment = self.moment
        if moment is not None and moment.seconds is None and moment.operation == self.count and moment.when == when:
            self.moment = None
            os.kill(os.getpid(), self.signal)

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            place = str(next((x for x in given if isinstance(x, (str, Path))), self.root))
            if not place.startswith(self.root) or threading.current_thread() is not threading.main_thread():
                return real(*given, **named)  # what a clock decides is not counted: the n-th is the same one in every job
            self.count += 1
            if self.log is not None:
                with self.log.open("a") as log:
                    log.write(f"{name} {place}\n")
            self._reached("before")
            result = real(*given, **named)
            self._reached("after")
            return result
        return call

    def _torn(self, real: Callable[[Path, bytes], int]) -> Callable[[Path, bytes], int]:
        def write(path: Path, content: bytes) -> int:
            if self.moment is not None and self.moment.operation == self.count + 1 and self.moment.when == "within":
                real(path, content[:len(content) // 2])
                self.count += 1
                self._reached("within")
                self.count -= 1
            return self._counted("write", real)(path, content)  # type: ignore[no-any-return]
        return write


def job(folder: Path, name: str, moment: Moment | None = None, number: int = signal.SIGKILL, log: Path | None = None) -> int:
    """Start a job and return its process."""
    child = os.fork()
    if child:
        return child
    with (folder / f"{name}.txt").open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    lease.BEAT, lease.EXPIRY, lease.WATCH, run_turns._PAUSE = 0.05, 0.4, 0.15, 0.05
    Operations(folder, moment, number, log)
    status = main(["run", "--methods", METHODS, "--dataset", "digits-lt", "--protocol", "smoke", "--seeds", "0,1", "--cpu",
                   "--out", str(folder / "runs"), "--cache", str(folder / "cache")])
    sys.stdout.flush()
    os._exit(status)


def ended(child: int) -> int:
    """Wait for a job; kill one that is blocked."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -100


def stopped(child: int) -> bool:
    """Wait until a job is suspended; False if it ended first."""
    _, status = os.waitpid(child, os.WUNTRACED)
    return os.WIFSTOPPED(status)


def comparable(folder: Path) -> dict[str, Any]:
    """Return what must be equal of every record, after checking that all of it can be read and agrees."""
    found = {}
    for path in sorted((folder / "runs").glob("*.json")):
        record = records.read(path)
        assert record.status == "completed", record.reason
        predictions = records.load_predictions(path, record)
        assert predictions is not None and records.verify(record, predictions) == []
        tensors = {name: tensor.numpy().tobytes() for name, tensor in read_geometry(path).items()}
        found[path.name] = [records.comparable(record), hashlib.sha256(repr(sorted(tensors.items())).encode()).hexdigest()]
    return found


def state(folder: Path) -> dict[str, Any]:
    """Return the files of what is finished, each with what tells whether it was written again."""
    finished = [*(folder / "runs").glob("*.json")]
    for meta in (folder / "cache" / "stages").glob("??/*/meta.json"):
        json.loads(meta.read_bytes())
        finished += [meta, meta.with_name("engine.safetensors")]
    return {str(path.relative_to(folder)): path.stat().st_ino for path in finished}


def in_child(function: Callable[[], Any]) -> Any:
    """Return what a function computes, in a process of its own: this one must not compute."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                value = {"value": function()}
        except BaseException as error:  # whatever is wrong is the answer
            value = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(write, "w") as pipe:
            json.dump(value, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    assert "error" not in answer, answer["error"]
    return answer["value"]


def disturb(folder: Path, kind: str, moment: Moment) -> str:
    """Disturb one job; return what happened to it."""
    number = signal.SIGSTOP if kind == "suspended" else signal.SIGKILL
    first = job(folder, "disturbed", moment, number)
    other = job(folder, "other") if kind == "beside another" else None
    if moment.seconds is not None:
        time.sleep(moment.seconds)
        os.kill(first, number)
    if kind == "suspended" and stopped(first):
        assert (code := ended(job(folder, "other"))) == 0, f"the other job ended with {code}"
        before = in_child(lambda: state(folder))
        os.kill(first, signal.SIGCONT)
        assert (code := ended(first)) == 0, f"the suspended job ended with {code}"
        assert in_child(lambda: sorted(comparable(folder))) == sorted(name[5:] for name in before if name.startswith("runs/"))
        return "went on"
    code = ended(first) if kind != "suspended" else 0
    if other is not None:
        assert (others := ended(other)) == 0, f"the other job ended with {others}"
    assert code in (0, -signal.SIGKILL), f"the disturbed job ended with {code}"
    return "killed" if code else "was done before"


def try_moment(folder: Path, kind: str, moment: Moment, expected: dict[str, Any]) -> str:
    """Disturb a job, check what it left, run it again, and compare.

    Raises:
        AssertionError: If a rule is broken.
    """
    folder.mkdir(parents=True)
    happened = disturb(folder, kind, moment)
    before = in_child(lambda: state(folder))
    left = in_child(lambda: comparable(folder))  # nothing is half written
    assert all(expected[name] == found for name, found in left.items()), "a record differs"
    assert kind == "alone" or len(left) == RUNS, f"the other job left {RUNS - len(left)} runs out"
    assert (code := ended(job(folder, "again"))) == 0, f"the run after it ended with {code}"
    assert in_child(lambda: comparable(folder)) == expected, "the records differ"
    after = in_child(lambda: state(folder))
    assert before.items() <= after.items(), "something that was finished was made again"
    assert sorted(path.suffix for path in (folder / "runs").iterdir() if not path.name.startswith(".")) == sorted(
        RUNS * [".json", ".npz", ".safetensors"])
    for path in [*folder.rglob(".*.tmp"), *folder.rglob("*leases/*/*")]:  # an hour later, in which nobody has touched them
        os.utime(path, (0, 0))
    assert ended(job(folder, "last")) == 0
    assert not [*(folder / "runs").glob(".*"), *(folder / "cache").rglob(".*.tmp")], "something hidden is left"
    assert not [*(folder / "cache").rglob("checkpoint.*")], "a checkpoint of a finished stage is left"
    assert not (folder / "cache" / "leases").exists() or not list((folder / "cache" / "leases").iterdir()), "a lease is left"
    return f"{happened}; {len(left)} of {RUNS} runs and {sum('engine' in name for name in before)} stages were finished"


def draw(number: int, seed: int, seconds: float, log: list[str]) -> tuple[str, Moment]:
    """Draw a moment: every third one a time, the others operations, half of these on records."""
    draws = random.Random(f"{seed} {number}")
    kind = KINDS[number % 3]
    if number // 3 % 3 == 0:
        return kind, Moment(seconds=draws.uniform(0.0, 1.0 if kind != "beside another" else 1.5) * seconds)
    chosen = [n for n, line in enumerate(log, start=1) if number // 3 % 3 == 1 or "/runs/" in line]
    operation = draws.choice(chosen)
    places = ["before", "within", "after"] if log[operation - 1].startswith("write ") else ["before", "after"]
    return kind, Moment(operation=operation, when=draws.choice(places))


def run(root: Path, moments: int, seed: int) -> int:
    """Try so many moments; return how many of them broke a rule."""
    quiet = root / "quiet"
    quiet.mkdir(parents=True)
    assert ended(job(quiet, "warm")) == 0, (quiet / "warm.txt").read_text()  # what is read from the disk is read now
    for name in ("runs", "cache"):
        shutil.rmtree(quiet / name)
    started = time.monotonic()
    assert ended(job(quiet, "quiet", log=quiet / "log.txt")) == 0
    seconds, log = time.monotonic() - started, (quiet / "log.txt").read_text().splitlines()
    expected = in_child(lambda: comparable(quiet))
    assert len(expected) == RUNS
    print(f"undisturbed: {seconds:.2f} s, {len(log)} operations", flush=True)
    broken = 0
    for number in range(moments):
        kind, moment = draw(number, seed, seconds, log)
        at = f" ({log[moment.operation - 1].replace(str(quiet), '')[:90]})" if moment.seconds is None else ""
        try:
            said = try_moment(root / str(number), kind, moment, expected)
            shutil.rmtree(root / str(number))
        except AssertionError as error:
            broken += 1
            said = f"BROKEN: {error}"
        print(f"{number:3d} {kind}, {moment}{at}: {said}", flush=True)
    print(f"{moments} moments, {broken} broken", flush=True)
    return broken


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert runner and sklearn.datasets  # imported here once, for all jobs
    sys.exit(1 if run(Path(sys.argv[1]), int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0])) else 0)
