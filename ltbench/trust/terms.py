"""What a record says of its settings, against what the installed plugins make of its command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltbench.data.naming import dataset_of_record
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.results.plain import plain
from ltbench.results.schema import Record
from ltbench.terms.protocol import CUSTOM, PAPER, Protocol
from ltbench.terms.task import TRACKS
from ltbench.trust.course import check_settings, read_protocol
from ltbench.trust.own import own_protocols
from ltbench.trust.remark import Level, Remark, error, note, refused, warning
from ltbench.trust.replan import changed_settings, changed_sources, replan
from ltbench.trust.tuning import check_space


def check_terms(record: Record, registry: Registry, data: TaskData | None, root: Path | None = None) -> Iterator[Remark]:
    """Yield where a record's settings are not those of its protocol, its methods and its key.

    What a plugin of today cannot confirm because its files are not those of the record is a warning: nobody can tell any more.

    Args:
        data: Of the record's task, where it is here.
        root: The folder of the data.
    """
    found = list(_against_today(record, registry, data, root))
    yield from found
    if not refused(found):
        yield from check_settings(record)


def _against_today(record: Record, registry: Registry, data: TaskData | None, root: Path | None) -> Iterator[Remark]:
    """Compare with what is installed, as far as it is."""
    if record.track not in TRACKS:
        yield error("track", f"must be one of {', '.join(TRACKS)}, got {record.track!r:.40}")
        return
    try:
        dataset = data.dataset if data is not None else dataset_of_record(record.task.dataset, registry, root)
    except UserError as problem:
        yield from _protocol(record, own_protocols(record.task.dataset, registry))
        yield note("task.dataset", f"settings not checked: {problem}")
        return
    found = list(_protocol(record, [dataset.protocols]))
    yield from found
    try:
        changed = list(changed_sources(record, registry))
    except UserError as problem:
        yield note("stages", f"not planned again: {problem}")
        return
    for place, file in changed:
        yield warning(place, f"{file} has changed since, here or there")
    yield from check_space(record, registry, "warning" if changed else "error")
    if not found:
        yield from _plan(record, registry, data, root, "warning" if changed else "error")


def _protocols(record: Record) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the run's protocol and those of its stages with their places; None for a stage that does not say."""
    stages = [(f"stages[{number}].protocol", stage.protocol) for number, stage in enumerate(record.stages)]
    return [("protocol", record.protocol.as_dict()), *stages]


def _protocol(record: Record, known: Sequence[Mapping[str, Protocol]]) -> Iterator[Remark]:
    """Compare a protocol with the registered one of its name, noise on test images aside: that has a column of its own.

    Args:
        known: The protocols that the dataset may have, by name; none where nobody knows which.
    """
    for place, stated in _protocols(record):
        try:
            if stated is not None:
                read_protocol(stated)
        except (AttributeError, TypeError, ValueError) as problem:
            yield error(place, str(problem))
            return
    protocol = read_protocol(record.protocol.as_dict())
    if record.track != PAPER and record.paper is not None:
        yield error("paper", f"must be null in the {record.track} track, got {record.paper!r:.40}")
    if protocol.name in (CUSTOM, PAPER):
        if protocol.name == PAPER and record.track != PAPER:
            yield error("protocol.name", f"must not be {PAPER} in the {record.track} track")
    elif candidates := [protocols[protocol.name] for protocols in known if protocol.name in protocols]:
        said = f"as the {protocol.name} protocol of {record.task.dataset:.80} has it"
        asked = {"eval_noise": protocol.eval_noise, "measure_every": protocol.measure_every, "splits": protocol.splits}
        registered = [candidate.replace(**asked, name=protocol.name) for candidate in candidates]
        yield from min((list(_differences("protocol", one, protocol, said, "error")) for one in registered), key=len)
    elif known:
        names = ", ".join([*dict.fromkeys(name for protocols in known for name in protocols), CUSTOM, PAPER])
        yield error("protocol.name", f"must be one of {names} for {record.task.dataset:.80}, got {protocol.name!r:.40}")


def _plan(record: Record, registry: Registry, data: TaskData | None, root: Path | None, level: Level) -> Iterator[Remark]:
    """Plan the run again by its command, and compare."""
    try:
        found = replan(record, registry, root=root)
    except UserError as problem:
        if record.external is not None or record.protocol.name == CUSTOM:  # which no command may be able to say
            yield note("key", f"not recomputed: {problem}")
        else:
            yield Remark(level, "expression", f"cannot be planned again: {problem}")
        return
    except Exception as problem:  # a stranger's values in a method's code
        yield Remark(level, "expression", f"cannot be planned again: {type(problem).__name__}")
        return
    plan = found.plan if data is None else found.plan.on(data.fingerprint)
    settings = [Remark(level, place, message) for place, message in changed_settings(record, plan)]
    yield from settings
    if settings:
        return
    expected = [plan.protocol, *(stage.protocol for stage in plan.stages)]
    for (place, stated), protocol in zip(_protocols(record), expected, strict=True):
        if stated is not None:
            yield from _differences(place, protocol, read_protocol(stated), "as its command plans it", level)
    for number, (stage, planned) in enumerate(zip(record.stages, plan.stages, strict=True)):
        overrides = plain(planned.overrides)
        if "protocol_overrides" in stage.model_fields_set and stage.protocol_overrides != overrides:
            yield Remark(level, f"stages[{number}].protocol_overrides", f"must be {overrides} as its methods declare")
    if data is None and found.dataset.max_per_class is None:
        yield note("key", "not recomputed: it may name images that are not here")
    elif level == "error" and plan.key != record.key:
        yield error("key", "does not follow from task, methods, hyperparameters, protocol and precision: one of them was changed")
    elif level == "error":
        for number, (stage, planned) in enumerate(zip(record.stages, plan.stages, strict=True)):
            if stage.key != planned.key:
                yield error(f"stages[{number}].key", "does not follow from the stage's settings")


def _differences(place: str, expected: Protocol, stated: Protocol, said: str, level: Level) -> Iterator[Remark]:
    ours, theirs = expected.as_dict(), stated.as_dict()
    for name in {**ours, **theirs}:  # a field that says nothing is left out
        if theirs.get(name) != ours.get(name):
            yield Remark(level, f"{place}.{name}", f"must be {ours.get(name)!r} {said}, got {theirs.get(name)!r:.60}")
