"""Measure how long a training step of every method takes beside one of cross-entropy, and write docs/step-times.csv.

``python tools/step_times.py`` measures all installed methods, ``python tools/step_times.py NAME...`` some of them anew. Steps of
both take turns in one process on one thread, and the time that the processor spent on them counts: what else the machine does
changes both alike. Stages are those that ``tools/method_costs.py`` counts, in their last epoch.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ltbench.errors import brief
from ltbench.registry.discovery import load_registry
from method_costs import PLAIN, TRANSFORMER, Counter, step

PATH = Path(__file__).resolve().parent.parent / "docs" / "step-times.csv"
COLUMNS = ("method", "quotient", "lowest", "highest")
TURNS = 5
BATCH = {False: 128, True: 8}  # of a transformer a small one, which takes as long


def timer(counter: Counter, method: str, batch: int) -> Callable[[], float] | None:
    """Return a function that takes a step and returns its seconds; None where the last stage takes none."""
    built = counter.build(method)
    if not built.trains:
        return None
    batches = counter.start(built, counter.draw(batch), built.engine.ctx.facts.epochs - 1)

    def timed() -> float:
        started = time.process_time()
        step(built.engine, batches)
        return time.process_time() - started

    timed()  # the first one sets memory up
    return timed


def quotients(own: Callable[[], float], plain: Callable[[], float]) -> list[float]:
    """Return what a step took beside one of cross-entropy, ``TURNS`` times, sorted."""
    return sorted(own() / plain() for _ in range(TURNS))


def read() -> dict[str, list[str]]:
    """Return the cells of every measured method, by its name."""
    if not PATH.exists():
        return {}
    with PATH.open(encoding="utf-8", newline="") as file:
        return {row[0]: row for row in list(csv.reader(file))[1:]}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="methods (default: all, and what is not installed is forgotten)")
    names = parser.parse_args().names
    torch.set_num_threads(1)
    registry = load_registry(strict=False)
    counters = {False: Counter(registry), True: Counter(registry, {"backbone": TRANSFORMER})}
    plain = {kind: timer(counter, PLAIN, BATCH[kind]) for kind, counter in counters.items()}
    rows = read() if names else {}
    for spec in sorted((entry.spec for entry in registry.methods.values()), key=lambda spec: spec.name):
        if names and spec.name not in names:
            continue
        kind = spec.needs_transformer
        try:
            own = timer(counters[kind], spec.name, BATCH[kind])
        except Exception as error:  # whatever a plugin raises: all others are measured
            print(f"{spec.name} is not measured: {brief(error)}", flush=True)
            continue
        beside = plain[kind]
        if own is None or beside is None:
            continue
        found = quotients(own, beside)
        rows[spec.name] = [spec.name, *(f"{value:.3f}" for value in (statistics.median(found), found[0], found[-1]))]
        print(*rows[spec.name], flush=True)
    with PATH.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *(rows[name] for name in sorted(rows))])


if __name__ == "__main__":
    main()
