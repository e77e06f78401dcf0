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
_NO_PROTOCOL = (ArithmeticError, AttributeError, TypeError, ValueError)


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
    if record.track != COMMON:
        return
    stated = record.protocol.as_dict()
    try:
        run = below = read_protocol(stated)
        for number, stage in enumerate(record.stages):
            if stage.protocol is None:  # an older record
                return
            own, declared = read_protocol(stage.protocol), read_protocol(stated | stage.protocol_overrides)
            for name in sorted(_FIELDS.difference(_UNSHARED)):
                said = name in stage.protocol_overrides
                allowed = [getattr(declared, name)] if said else [getattr(run, name), getattr(below, name)]
                if (value := getattr(own, name)) not in allowed:
                    why = "its methods declare" if said else "the run has it"
                    yield error(f"stages[{number}].protocol.{name}", f"must be {allowed[0]!r:.60} as {why}, got {value!r:.60}")
            below = own
    except _NO_PROTOCOL:  # which is told where protocols are read one by one
        return


def check_epochs(record: Record) -> Iterator[Remark]:
    """Yield where a completed run did not train a stage for as many epochs as its protocol says.

    A later stage that trains a new backbone has those of a first one.
    """
    images = sum(record.split.class_counts)
    last: dict[int | None, int] = {}
    for row in record.curve:
        last[row.stage] = max(last.get(row.stage, 0), row.epoch or 0)
    for number, stage in enumerate(record.stages, start=1):
        if stage.protocol is None or record.status != "completed" or number == 1 and is_given(record):
            continue
        kinds = {number, 1} if stage.inputs == "images" else {number}
        try:
            protocol = read_protocol(stage.protocol)
        except _NO_PROTOCOL:
            continue
        try:
            expected = {budget_of(protocol, kind, images).epochs for kind in kinds} if stage.inputs != "none" else {0}
        except _NO_PROTOCOL as problem:
            yield error(f"stages[{number - 1}].protocol", str(problem))
            continue
        trained = last.get(number, 0)
        if trained not in expected:
            wanted = " or ".join(map(str, sorted(expected)))
            yield error("curve", f"must have {wanted} epochs of stage {number} as its protocol says, got {trained}")
