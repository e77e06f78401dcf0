"""Ways to do the same, measured in turn.

pytest-benchmark measures one test after the other; where a machine slows down in between, a ratio of two tests is that of two
moments. So all ways of a group are measured in rounds, by the first test that asks, and every test then replays its own times, on
a clock that shows nothing else: results and comparisons are pytest-benchmark's as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

_shown = 0.0


def clock() -> float:
    """Show the sum of all times replayed; the ``timer`` of a benchmark."""
    return _shown


def measure(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way in each round.

    Args:
        ways: By name; each returns when its work is done. All are called once before, so that nothing is new to them.
    """
    for work in ways.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def replay(benchmark: BenchmarkFixture, seconds: list[float], *, reference: bool = False, goal: float | None = None) -> None:
    """Give a benchmark times that were measured before.

    Args:
        goal: How many times as fast as the reference it should be.
    """
    def advance() -> None:
        global _shown
        _shown += next(left)

    left = iter(seconds)
    if reference:
        benchmark.extra_info["reference"] = True
    if goal is not None:
        benchmark.extra_info["goal"] = goal
    benchmark.pedantic(advance, rounds=len(seconds))
