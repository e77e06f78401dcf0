"""Whether a run trained as its protocol says: its settings in every stage, and for how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ltbench.leaderboard.rows import is_given
from ltbench.results.schema import Record
from ltbench.terms.protocol import COMMON, Protocol
from ltbench.training.budget import budget_of
from ltbench.trust.remark import Remark, error

_FIELDS = {field.name for field in dataclasses.fields(Protocol)}
_UNSHARED = ("name", "measure_every")  # a stage measures only where a method of it does


def read_protocol(stated: Mapping[str, Any]) -> Protocol:
    """Return a recorded protocol; fields that nobody knows are left out, later ones have their defaults.

    Raises:
        AttributeError: If it is none.
        TypeError: Likewise.
        ValueError: Likewise.
    """
    return Protocol.from_dict({name: value for name, value in stated.items() if name in _FIELDS})


def check_settings(record: Record) -> Iterator[Remark]:
    """Yield where a stage of the common track has other settings than the run and its methods declare.

    A stage that only predicts has those of the stage below it.
    """
    run, below = record.protocol.as_dict(), record.protocol.as_dict()
    for number, stage in enumerate(record.stages):
        if record.track != COMMON or stage.protocol is None:  # an older record
            return
        for name in sorted(_FIELDS.difference(_UNSHARED)):
            overrides = stage.protocol_overrides
            allowed = [overrides[name]] if name in overrides else [run.get(name), below.get(name)]
            if stage.protocol.get(name) not in allowed:
                place = f"stages[{number}].protocol.{name}"
                yield error(place, f"must be {allowed[0]!r:.60} as the run has it, got {stage.protocol.get(name)!r:.60}")
        below = stage.protocol


def check_epochs(record: Record) -> Iterator[Remark]:
    """Yield where a completed run did not train a stage for as many epochs as its protocol says.

    A later stage that trains a new backbone has those of a first one.
    """
    images = sum(record.split.class_counts)
    for number, stage in enumerate(record.stages, start=1):
        if stage.protocol is None or record.status != "completed" or number == 1 and is_given(record):
            continue
        kinds = {number, 1} if stage.inputs == "images" else {number}
        try:
            protocol = read_protocol(stage.protocol)
            expected = {budget_of(protocol, kind, images).epochs for kind in kinds} if stage.inputs != "none" else {0}
        except (ArithmeticError, AttributeError, TypeError, ValueError) as problem:
            yield error(f"stages[{number - 1}].protocol", str(problem))
            continue
        trained = max((row.epoch or 0 for row in record.curve if row.stage == number), default=0)
        if trained not in expected:
            wanted = " or ".join(map(str, sorted(expected)))
            yield error("curve", f"must have {wanted} epochs of stage {number} as its protocol says, got {trained}")
