"""What a record says against itself: no predictions, no plugin and no data are needed to see it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from ltbench.errors import UserError
from ltbench.leaderboard.opponents import unordered
from ltbench.method.hyperparameters import format_value
from ltbench.planning.expression import parse
from ltbench.results.schema import Record, RecordedStage
from ltbench.results.tested import tell_of
from ltbench.running.tuning.judged import tell_judged
from ltbench.trust.course import check_epochs
from ltbench.trust.remark import Remark, error, warning
from ltbench.trust.tuning import check_trials

_LONGEST = 2_000  # characters of a stage's expression: patterns are slow on endless ones
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEEDED = re.compile(r"_s(\d{1,19})_[0-9a-f]{8}\.npz")


def check_fields(record: Record) -> Iterator[Remark]:
    """Yield what is wrong with a record that the schema admits."""
    yield from _unprintable(record.as_dict(), "")
    yield from _status(record)
    yield from _curve(record)
    yield from check_epochs(record)
    yield from _identity(record)
    yield from check_trials(record)
    yield from _flags(record)
    if record.metrics is not None and (tested := tell_of([record])):
        yield warning("metrics.accuracy", f"is {tested}")
    if record.split.held_out is not None and (judged := tell_judged(record.split.held_out, "held-out")):
        yield warning("split.held_out", f"figures on these images are {judged}")


def _unprintable(value: Any, path: str) -> Iterator[Remark]:
    """Find text that would move a terminal's cursor. What a method threw may hold a tab."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not name.isprintable():
                yield error(path or "the record", f"every name must be printable, got {ascii(name):.60}")
            yield from _unprintable(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unprintable(item, f"{path}[{i}]")
    elif isinstance(value, str) and not value.isprintable():
        say = warning if path == "reason" else error
        yield say(path, f"must be printable, got {ascii(value):.60}")


def _status(record: Record) -> Iterator[Remark]:
    if record.status == "completed":
        if record.reason is not None:
            yield error("reason", f"must be null for a completed run, got {record.reason!r:.60}")
        return
    for name in ("metrics", "per_class", "predictions", "geometry", "logits"):
        if getattr(record, name) is not None:
            yield error(name, f"must be null for a {record.status} run: status or {name} was changed")


def _curve(record: Record) -> Iterator[Remark]:
    """Demand that each stage's epochs count up, to their end in a completed run, with a loss that is a number.

    Epoch 0 is what a method measures before the first one: it has no loss. Neither has what is measured between two epochs.
    """
    completed = record.status == "completed"
    before: dict[int, int] = {}
    parts: dict[int, float] = {}
    ends: dict[int, tuple[str, int, int]] = {}
    for i, row in enumerate(record.curve):
        place, stage, epoch = f"curve[{i}]", row.stage, row.epoch
        if not 1 <= stage <= len(record.stages):
            yield error(f"{place}.stage", f"must be a stage from 1 to {len(record.stages)}, got {stage}")
            continue
        if row.part is not None:
            if epoch != before.get(stage, 0):
                yield error(f"{place}.epoch", f"must be {before.get(stage, 0)}, got {epoch}")
                return
            if not parts.get(stage, 0.0) < row.part < 1:
                yield error(f"{place}.part", f"must be above {parts.get(stage, 0.0):g} and below 1, got {row.part:g}")
                return
            parts[stage] = row.part
            continue
        parts[stage] = 0.0
        expected = before.get(stage, 0) + 1
        if epoch is None or epoch != expected and (epoch != 0 or stage in before):
            yield error(f"{place}.epoch", f"must be {expected}, got {epoch}")
            return
        before[stage] = epoch
        ends[stage] = f"{place}.epochs", epoch, epoch if row.epochs is None else row.epochs
        if epoch and completed and row.loss is None:
            yield error(f"{place}.loss", "must be a number in a completed run, got None")
    for place, epoch, epochs in ends.values():
        if completed and epochs != epoch:
            yield error(place, f"must be {epoch}, the last epoch of a completed stage, got {epochs}")


def _identity(record: Record) -> Iterator[Remark]:
    """Recompute what names the methods: the hash from the hyperparameters, the expression from its stages."""
    if not record.stages:
        yield error("stages", "must hold at least one stage, got none")
    for number, stage in enumerate(record.stages):
        for position, method in enumerate(stage.methods):
            if not _NAME.fullmatch(method.name):
                yield error(f"stages[{number}].methods[{position}].name", f"must be a method's name, got {method.name!r:.60}")
        if not stage.methods:
            yield error(f"stages[{number}].methods", "must hold at least one method, got none")
    text = "/".join(stage.expression for stage in record.stages)
    if record.expression != text:
        yield error("expression", f"must be {text!r:.120} as its stages say, got {record.expression!r:.120}")
    if record.typed is not None and unordered(record.typed) != unordered(record.expression):
        yield error("typed", f"must be {record.expression!r:.120} in another order, got {record.typed!r:.120}")
    for number, stage in enumerate(record.stages):
        yield from _stage_text(stage, f"stages[{number}]")
    content = [[[method.name, method.hyperparameters] for method in stage.methods] for stage in record.stages]
    if hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() != record.expression_hash:
        yield error("expression_hash", "does not follow from the stages: a method or a hyperparameter was changed")
    for name, digest in (("key", record.key), ("split.hash", record.split.hash)):
        if not _SHA256.fullmatch(digest):
            yield error(name, f"must be a sha256 in hexadecimal, got {digest!r:.70}")
    found = _SEEDED.search(record.predictions.file) if record.predictions else None
    if found and int(found[1]) != record.task.seed:
        yield error("task.seed", f"must be {found[1]} as in predictions.file, got {record.task.seed}")


def _stage_text(stage: RecordedStage, place: str) -> Iterator[Remark]:
    """Demand that a stage's part of the expression names its methods, and no option otherwise than they have it."""
    try:
        if len(stage.expression) > _LONGEST:
            raise UserError(f"must be at most {_LONGEST} characters, got {len(stage.expression)}")
        nodes = parse(stage.expression)
    except UserError as problem:
        yield error(f"{place}.expression", str(problem))
        return
    if [[node.name for node in part] for part in nodes] != [[method.name for method in stage.methods]]:
        yield error(f"{place}.expression", f"must name the stage's methods, got {stage.expression!r:.120}")
        return
    for position, (node, method) in enumerate(zip(nodes[0], stage.methods, strict=True)):
        values = {name: format_value(value) for name, value in method.hyperparameters.items()}
        for name, text in node.options:
            if values.get(name) != text:
                field = f"{place}.methods[{position}].hyperparameters.{name}"
                yield error(field, f"must be {text:.60} as the expression says, got {values.get(name, 'none'):.60}")


def _flags(record: Record) -> Iterator[Remark]:
    core = record.core
    if core.dirty:
        yield warning("core.dirty", "its code had changes that no commit holds: nobody else can run it")
    elif core.commit is None:
        yield warning("core.commit", "must name a commit for others to run its code, got null")
    if record.selection != "last":
        yield warning("selection", f"{record.selection}: not comparable with records of the last epoch")
    if record.external is not None:
        yield warning("external", "its first stage comes from elsewhere: not comparable with others")
