"""Threads for work that waits for a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_CHUNK = 64  # items given to a thread at a time: one each costs more than most files take to be read


def in_threads(work: Callable[[ItemT], ResultT], items: Sequence[ItemT], threads: int) -> Iterator[ResultT]:
    """Yield what becomes of each item, in order; whoever stops asking waits for the chunks that are under way.

    Not with the pool of multiprocessing: its locks lie in /dev/shm, which may be full.

    Args:
        threads: How many, at least 1.
    """
    def done(chunk: Sequence[ItemT]) -> list[ResultT]:
        return [work(item) for item in chunk]

    pool = ThreadPoolExecutor(threads)
    try:
        for results in pool.map(done, [items[start:start + _CHUNK] for start in range(0, len(items), _CHUNK)]):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)
