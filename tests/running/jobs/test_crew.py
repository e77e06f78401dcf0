"""Real processes that only play at being workers, so that each test takes tenths of a second."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ltbench.errors import UserError
from ltbench.planning.plan import RunPlan
from ltbench.running.jobs.agenda import Agenda
from ltbench.running.jobs.crew import Crew, Inbox
from ltbench.running.jobs.process import Worker
from ltbench.running.observers import Observers

FAKE = Path(__file__).resolve().parents[2] / "support" / "fake_worker.py"


class Heard(Observers):
    def __init__(self) -> None:
        self.numbers: list[int] = []

    def notify(self, hook: str, **arguments: Any) -> None:
        assert hook == "ltbench_epoch_end"
        self.numbers.append(arguments["number"])


def crew(folder: Path, acts: dict[Any, str], keys: str = "abcd", *, jobs: int = 2, one_first: bool = False) -> tuple[Crew, Heard]:
    """Return a crew for runs of one stage each, with these keys."""
    task = SimpleNamespace(seed=0)
    plans = [cast(RunPlan, SimpleNamespace(stages=[SimpleNamespace(number=1, key=key)], expression=f"m{key}", task=task,
                                           file_name=f"m{key}"))
             for key in keys]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}

    def start(inbox: Inbox) -> Worker:
        return Worker([sys.executable, str(FAKE), str(folder)], environment, acts, inbox)

    heard = Heard()
    return Crew(plans, Agenda(plans), jobs, start, heard, one_first=one_first), heard


def asked(folder: Path) -> list[str]:
    return [line.split(" ", 1)[1] for line in (folder / "log").read_text().splitlines()]


def gone(folder: Path) -> bool:
    """Tell whether every worker has ended."""
    return not any(Path(f"/proc/{path.name.removeprefix('pid-')}").exists() for path in folder.glob("pid-*"))


@pytest.mark.parametrize(("jobs", "one_first"), [(1, False), (2, False), (8, True)])
def test_every_run_is_asked_for_once(jobs: int, one_first: bool, tmp_path: Path) -> None:
    busy, heard = crew(tmp_path, {}, jobs=jobs, one_first=one_first)
    assert busy.run() == ["completed"] * 4
    assert sorted(asked(tmp_path)) == ["1", "2", "3", "4"] and sorted(heard.numbers) == [1, 2, 3, 4]
    assert len(list(tmp_path.glob("pid-*"))) <= min(jobs, 4) and gone(tmp_path)


def test_a_worker_that_dies_is_one_failed_run_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy, heard = crew(tmp_path, {2: "kill", 3: "exit"})
    assert sorted(busy.run()) == ["completed", "completed", "failed", "failed"]
    assert sorted(heard.numbers) == [1, 4]
    lines = sorted(capsys.readouterr().err.splitlines())
    assert [line.partition(": its process ")[2] for line in lines] == [
        "was ended by SIGKILL: out of memory, or killed from outside", "ended with exit code 7"]
    assert lines[0].startswith("failed: [2/4] mb on ") and lines[1].startswith("failed: [3/4] mc on ")
    assert sum(line.startswith(("2 its process", "3 its process")) for line in asked(tmp_path)) == 2  # a record for each


def test_lines_of_several_workers_stay_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy, _ = crew(tmp_path, dict.fromkeys((1, 2), "half a line"), "ab")
    busy.run()
    assert sorted(capsys.readouterr().err.splitlines()) == ["begun by 1, ended by 1", "begun by 2, ended by 2"]


def test_a_mistake_of_the_user_ends_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="^no such data$"):
        crew(tmp_path, {"start": "refuse"})[0].run()
    assert gone(tmp_path)


def test_workers_that_do_not_start_are_not_started_again(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a process of --jobs could not start \(exit code 1\): nothing works here"):
        crew(tmp_path, {"start": "break"})[0].run()
    assert len(list(tmp_path.glob("pid-*"))) <= 2 and gone(tmp_path)


def test_an_interrupt_ends_all_at_once(tmp_path: Path) -> None:
    busy, _ = crew(tmp_path, {1: "hang", 2: "hang"})

    def interrupt() -> None:
        while not (tmp_path / "log").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        busy.run()
    assert time.monotonic() - started < 10 and gone(tmp_path)
