"""``--jobs``: processes that make one matrix together, on one machine and its one device.

Each is handed the same plans and goes through them on the same output folder, where leases see to it that a run is made by one
process and that a dead one is in nobody's way (:mod:`.turns`). So the process that starts them only starts another one where one
has died while runs are left. A process is a fresh interpreter: a fork of one in which OpenMP has run hangs.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.planning.matrix import Planned, plan_request
from ltbench.planning.request import How, Request
from ltbench.running.ledger import Ledger
from ltbench.system.settings import cores, data_workers
from ltbench.system.stopping import Stopped, stoppable

if TYPE_CHECKING:
    from ltbench.results.schema import Record
    from ltbench.running.runner import Runner

_LOOK = 0.1  # seconds between two looks at the processes
_LEAVING = 60.0  # seconds that processes have to tell observers and trackers, after the last run
_GRACE = 5.0  # seconds that processes have to leave in order; far more than an optimizer step on anything but a very large batch
_ALONE = 20.0  # seconds to leave in order when whoever started this process is gone


def check_jobs(how: How) -> None:
    """Refuse what cannot share a machine.

    Raises:
        UserError: Under torchrun, or for more threads than there are cores.
    """
    if (world := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UserError(f"--jobs must be 1 where torchrun runs {world} processes, got {how.jobs}")
    if how.threads is not None and how.threads * how.jobs > cores():
        raise UserError(f"--threads of {how.jobs} jobs must be at most {cores() // how.jobs}, their share of {cores()} cores, "
                        f"got {how.threads}")


def run_jobs(request: Request, planned: Planned, runner: Runner, *, one_thread: bool) -> list[Record]:
    """Make a matrix with several processes, and return its records.

    Args:
        request: With ``jobs`` above 1.
        runner: Of this process, which makes no run: it refuses what cannot be run, and knows what is left.
        one_thread: Whether more threads than one would only wait for each other.

    Raises:
        UserError: If the matrix cannot be run, or processes do not even start.
    """
    jobs, threads = request.how.jobs, _threads(request.how, one_thread=one_thread)
    environment = _environment(threads, jobs)
    plans_of_children = _pickled(planned)  # before the runner reads weights, which would be carried along
    plans = runner.prepare(planned.plans)
    with TemporaryDirectory(prefix="ltbench-jobs-") as folder:
        ledger = Ledger(Path(folder))

        def left() -> int:
            return sum(runner.known(plan, ledger) is None for plan in plans)

        handed = pickle.dumps((replace(request, how=replace(request.how, jobs=1, threads=threads)), ledger, plans_of_children))
        children: list[subprocess.Popen[bytes]] = []
        noted, patience = 0, 2 * jobs  # deaths in a row of which none came after anything was noted
        try:
            while (missing := left()) > 0:
                children += [_start(environment, handed) for _ in range(min(jobs, missing) - len(children))]
                while not (ended := [child for child in children if child.poll() is not None]):
                    time.sleep(_LOOK)
                for child in ended:
                    children.remove(child)
                    noted, patience = ledger.size, 2 * jobs if ledger.size > noted else patience - 1
                    if (refused := ledger.refused) is not None:
                        raise UserError(refused)
                    if patience < 0:
                        raise UserError(f"processes of --jobs end before they begin a run, with exit code {child.returncode}")
            _wait(children, _LEAVING)
        except BaseException:
            for child in children:
                child.terminate()
            raise
        finally:
            _wait(children, _GRACE)
        return [record for plan in plans if (record := runner.known(plan, ledger)) is not None]


def _threads(how: How, *, one_thread: bool) -> int:
    """Return the threads of each process: as many as without ``--jobs``, but no more than its share of the cores."""
    share = max(1, cores() // how.jobs)
    typed = os.environ.get("OMP_NUM_THREADS", "")
    if how.threads is not None:
        return how.threads
    if typed.isdecimal():
        return max(1, min(int(typed), share))
    return 1 if one_thread else share


def _environment(threads: int, jobs: int) -> dict[str, str]:
    """Return the environment of a process; OpenMP reads it before anything else, so it must be there when the process starts."""
    # A thread that waits must not spin: two spinning processes made a step of 0.28 s last 4.1 s. Bars of several would mix.
    set_here = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "TQDM_DISABLE": "1",
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    if not os.environ.get("LTBENCH_WORKERS"):
        set_here["LTBENCH_WORKERS"] = str(max(1, data_workers() // jobs))
    return {**os.environ, **set_here}


def _pickled(planned: Planned) -> bytes | None:
    """Return plans as another process can read them; None where a stranger's method holds what does not pickle."""
    try:
        return pickle.dumps(planned)
    except Exception:
        return None


def _start(environment: dict[str, str], handed: bytes) -> subprocess.Popen[bytes]:
    """Start a process that makes runs; what methods print there is no part of the tables and goes to stderr."""
    child = subprocess.Popen([sys.executable, "-m", __name__], env=environment, stdin=subprocess.PIPE, stdout=2)
    assert child.stdin is not None
    with suppress(OSError):  # it is gone already
        child.stdin.write(handed)
        child.stdin.flush()
    return child


def _wait(children: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Wait for processes, and kill those that have not left by then."""
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def main() -> int:
    """Be one of the processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C whoever started this process ends it
    pipe = os.fdopen(os.dup(0), "rb")  # not Python's own stdin, which it closes at the end, and a thread reads it until then
    try:
        request, ledger, plans = pickle.load(pipe)
    except (EOFError, pickle.UnpicklingError):  # whoever started this process was ended before it had handed all over
        return 128 + signal.SIGTERM
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    try:
        with stoppable():
            from ltbench.method.from_file import open_registry
            from ltbench.running.setup import make_runner

            with redirect_stderr(io.StringIO()):  # what there is to say of the matrix has been said
                registry = open_registry(request.no_plugins, request.plugins)
                planned = plan_request(request, registry) if plans is None else pickle.loads(plans)
                runner = make_runner(request, registry, planned)
                prepared = runner.prepare(planned.plans)
            runner.obtain(prepared, ledger)
    except UserError as error:
        ledger.refuse(str(error))
        return 2
    except Stopped as stop:
        return stop.code
    return 0


def _end_with_parent(pipe: IO[bytes]) -> None:
    """End this process when whoever started it is gone: nobody else holds the other end of the pipe."""
    pipe.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ALONE)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
