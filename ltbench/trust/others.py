"""What records say against each other."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.contradictions import one_labeling
from ltbench.leaderboard.rows import Row, trained_stages
from ltbench.leaderboard.tuned import tuning_terms
from ltbench.results.records import Stored
from ltbench.results.schema import Record
from ltbench.trust.remark import Remark, error, warning


class Sound(NamedTuple):
    """Hold a record that says nothing against itself.

    Args:
        tested: Hash of its test images and their labels; None where it has no predictions.
    """

    path: Path
    record: Record
    tested: str | None


Found: TypeAlias = tuple[Path, Remark]


def check_others(sound: Sequence[Sound]) -> Iterator[Found]:
    """Yield what is wrong with records that each are sound, with the file of each; errors come first."""
    stored = [Stored(one.path, one.record) for one in sound]
    tables, contradictions = collect(stored)
    _, labelings = one_labeling(stored, {one.path: one.tested for one in sound if one.tested is not None})
    for contradiction in [*contradictions, *labelings]:
        for path in contradiction.left_out or (contradiction.first, contradiction.second):
            yield path, error("", str(contradiction))
    for row in (row for table in tables for row in table.rows):
        yield from _of_row(row)
    yield from _twice(sound)


def _of_row(row: Row) -> Iterator[Found]:
    for item in row.completed if row.other_code else ():
        yield item.path, warning("stages", row.code)
    equal: dict[str, Stored] = {}
    for item in row.completed:
        predictions = item.record.predictions
        if predictions is None or not trained_stages(item.record):
            continue
        first = equal.setdefault(predictions.sha256, item)
        if first is not item:
            yield item.path, warning("predictions", f"are to the last bit those of {first.path}, which is of another seed: what "
                                     "another seed trains predicts otherwise")


def _twice(sound: Sequence[Sound]) -> Iterator[Found]:
    def run(one: Sound) -> str:  # a row that was tuned more is another one
        return one.record.key + one.record.split.hash + json.dumps(tuning_terms(one.record), sort_keys=True)

    for first, *others in _grouped(sound, run):
        for other in others:
            yield other.path, warning("key", f"the same run as {first.path}: it counts once")


def _grouped(sound: Sequence[Sound], name: Callable[[Sound], str]) -> Iterator[list[Sound]]:
    groups: dict[str, list[Sound]] = defaultdict(list)
    for one in sound:
        groups[name(one)].append(one)
    yield from groups.values()
