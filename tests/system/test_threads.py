from __future__ import annotations

import threading
import time

import pytest

from ltbench.system.threads import in_threads


@pytest.mark.parametrize("count", [0, 1, 64, 1000])
def test_answers_come_in_order(count: int) -> None:
    assert list(in_threads(lambda item: item * item, range(count), 3)) == [item * item for item in range(count)]


def test_several_are_done_at_once() -> None:
    meeting = threading.Barrier(2, timeout=600)  # the first of a chunk waits for the first of another
    assert sum(in_threads(lambda item: item if item % 64 else meeting.wait() * 0, range(128), 2)) == sum(range(128)) - 64


def test_whoever_stops_asking_does_not_wait_for_all() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item >= 64:  # after the first chunk: all of it would take a minute
            time.sleep(0.01)
        done.append(item)
        return item

    answers = in_threads(work, range(12_000), 2)
    assert next(answers) == 0
    answers.close()  # type: ignore[attr-defined]
    assert len(done) < 12_000


def test_what_goes_wrong_is_raised() -> None:
    def broken(item: int) -> int:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        list(in_threads(broken, range(1000), 2))
