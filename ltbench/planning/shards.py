"""Parts of a matrix, for machines that run it side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ltbench.errors import UserError

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan

_Run: TypeAlias = "tuple[str, RunPlan]"  # with its name


@dataclass(frozen=True)
class Shard:
    """Name one of the parts of a matrix.

    Args:
        number: From 1.
        count: Parts in all.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read ``I/N``.

    Raises:
        UserError: For anything but two numbers with 1 <= I <= N.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise UserError(f"--shard must be I/N with 1 <= I <= N, got {text!r}")
    return shard


def part(plans: Sequence[RunPlan], shard: Shard) -> list[RunPlan]:
    """Return the runs of one shard, in their order in the matrix.

    Every run is in exactly one shard, whichever records exist and in whatever order methods and seeds were typed. Runs that
    stand on one first stage are a group, which stays together as long as there is a group for every shard: else two machines
    would train one stage, or wait for each other. Groups go, the largest first, to the shard that has least to do; a group counts
    one for every epoch of its first stage and one for every run. Where there are fewer groups than shards the largest are halved.
    """
    groups: dict[str, list[_Run]] = {}
    for run in sorted(((plan.file_name, plan) for plan in plans), key=_name):  # a name does not depend on what was typed first
        groups.setdefault(run[1].stages[0].key, []).append(run)
    loads = [0] * shard.count
    chosen: set[int] = set()
    for piece in sorted(_halve(groups.values(), shard.count), key=lambda piece: (-_load(piece), _name(piece[0]))):
        lightest = loads.index(min(loads))
        loads[lightest] += _load(piece)
        if lightest == shard.number - 1:
            chosen |= {id(plan) for _, plan in piece}
    return [plan for plan in plans if id(plan) in chosen]


def _name(run: _Run) -> str:
    return run[0]


def _load(runs: Sequence[_Run]) -> int:
    return runs[0][1].stages[0].protocol.epochs + len(runs)


def _halve(groups: Iterable[list[_Run]], count: int) -> list[list[_Run]]:
    pieces = list(groups)
    while pieces and len(pieces) < count:
        largest = max(pieces, key=lambda piece: (len(piece), _name(piece[0])))
        if len(largest) == 1:
            break
        pieces.remove(largest)
        middle = len(largest) // 2
        pieces += [largest[:middle], largest[middle:]]
    return pieces
