"""What a record looks like: rules that read as the schema, and a check that names every field that breaks one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from ltbench.terms.shift import parse_shift

SCHEMA = 1
STATUSES = ("completed", "diverged", "failed")
SELECTIONS = ("last", "val", "test")

Rule: TypeAlias = Callable[[object, str], Iterator[str]]


def _demand(holds: bool, path: str, constraint: str, value: object) -> Iterator[str]:
    if not holds:
        text = repr(value)
        yield f"{path} must be {constraint}, got {text if len(text) <= 60 else text[:57] + '...'}"


def _anything(value: object, path: str) -> Iterator[str]:
    return iter(())


def _text(value: object, path: str) -> Iterator[str]:
    return _demand(isinstance(value, str) and bool(value), path, "a non-empty text", value)


def _boolean(value: object, path: str) -> Iterator[str]:
    return _demand(isinstance(value, bool), path, "true or false", value)


def _integer(value: object, path: str) -> Iterator[str]:
    return _demand(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63, path, "an integer", value)


def _count(value: object, path: str) -> Iterator[str]:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return _demand(good, path, "an integer >= 0", value)


def _number(value: object, path: str) -> Iterator[str]:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return _demand(good and abs(value) < 1e300, path, "a number", value)  # type: ignore[arg-type]  # no NaN is below 1e300


def _between(low: float, high: float) -> Rule:
    def rule(value: object, path: str) -> Iterator[str]:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        return _demand(good, path, f"a number in [{low:g}, {high:g}]", value)

    return rule


def _one_of(*choices: object) -> Rule:
    # By type too: true equals 1 in Python, and not in JSON.
    def rule(value: object, path: str) -> Iterator[str]:
        good = any(type(value) is type(choice) and value == choice for choice in choices)
        return _demand(good, path, f"one of {', '.join(map(str, choices))}", value)

    return rule


def _optional(rule: Rule) -> Rule:
    return lambda value, path: iter(()) if value is None else rule(value, path)


def _list_of(rule: Rule) -> Rule:
    def check_items(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield from _demand(False, path, "a list", value)
            return
        for i, item in enumerate(value):
            yield from rule(item, f"{path}[{i}]")

    return check_items


def _mapping_of(rule: Rule) -> Rule:
    return lambda value, path: _entries(value, path, {}, default=rule)


def _shifts_of(rule: Rule) -> Rule:
    """Demand the names of label shifts, each with what ``rule`` asks."""
    def check_names(value: object, path: str) -> Iterator[str]:
        yield from _mapping_of(rule)(value, path)
        for name in value if isinstance(value, dict) else ():
            try:
                parse_shift(name)
            except ValueError as error:
                yield f"{path}: {error}"

    return check_names


def _fields(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    return lambda value, path: _entries(value, path, required, optional or {})


def _entries(
    value: object, path: str, required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None, default: Rule = _anything
) -> Iterator[str]:
    """Check an object; names that no rule knows fall to ``default``: a later writer may say more than this reader asks."""
    prefix = f"{path}." if path else ""
    if not isinstance(value, dict):
        yield from _demand(False, path or "the record", "an object", value)
        return
    yield from (f"{prefix}{name} is missing" for name in required if name not in value)
    for name, item in value.items():
        rule = required.get(name) or (optional or {}).get(name) or default
        yield from rule(item, f"{prefix}{name}")


def _file_name(ending: str) -> Rule:
    """Demand a bare name: a record from elsewhere must not point out of its folder."""
    def rule(value: object, path: str) -> Iterator[str]:
        good = isinstance(value, str) and value.endswith(ending) and not value.startswith(".") and not set(value) & set("/\\:\0")
        return _demand(good, path, f"the name of an {ending} file next to the record", value)

    return rule


_METHOD = _fields({
    "name": _text,
    "hyperparameters": _mapping_of(_anything),
    "distribution": _optional(_text),
    "version": _optional(_text),
    "sources": _mapping_of(_text),
})
_STAGE = _fields(
    {"expression": _text, "key": _text, "inputs": _anything, "methods": _list_of(_METHOD)},
    optional={"protocol_overrides": _mapping_of(_anything)},
)
_PERCENT = _optional(_between(0, 100))
_SHIFT = {"accuracy": _PERCENT, "images": _count, "classes": _count, "sha256": _text}
_METRICS = _fields(
    {
        "accuracy": _fields({"all": _PERCENT, "many": _PERCENT, "medium": _PERCENT, "few": _PERCENT}),
        "balanced_error": _PERCENT,
        "worst_class": _PERCENT,
        "worst_tenth": _PERCENT,
        "harmonic_mean": _PERCENT,
        "ece": _optional(_between(0, 1)),
        "test_loss": _optional(_number),
    },
    optional={
        "extra": _mapping_of(_anything),
        "label_shift": _fields({}, optional={
            "published": _shifts_of(_fields({**_SHIFT, "members": _text})), "built": _shifts_of(_fields(_SHIFT)),
        }),
    },
)
_PRETRAINING = _fields({"kind": _one_of("stage1", "weights"), "source": _one_of("file", "timm"), "sha256": _text}, optional={
    "model": _text,
    "input": _fields({"mean": _list_of(_number), "std": _list_of(_number), "size": _count, "crop": _between(0, 1)}),
})
_TUNING = _fields({
    "expression": _text,
    "space": _mapping_of(_fields({"kind": _one_of("uniform", "log_uniform", "choice")}, optional={
        "low": _number, "high": _number, "values": _list_of(_anything),
    })),
    "sampler": _fields({"name": _text, "seed": _count, "optuna": _text}),
    "budget": _fields({"trials": _count, "protocol": _fields({"name": _text, "backbone": _text, "epochs": _count})}),
    "validation": _fields({"source": _one_of("held out", "own"), "counts": _list_of(_count), "sha256": _text}),
    "trials": _list_of(_fields({
        "values": _mapping_of(_anything), "score": _PERCENT, "status": _one_of("completed", "diverged", "refused"),
    })),
    "chosen": _optional(_count),
})
_RECORD = _fields({
    "schema": _one_of(SCHEMA),
    "expression": _text,
    "expression_hash": _text,
    "key": _text,
    "track": _text,
    "selection": _one_of(*SELECTIONS),
    "stages": _list_of(_STAGE),
    "task": _fields({
        "dataset": _text,
        "imbalance_ratio": _optional(_number),
        "imbalance": _optional(_text),
        "split_seed": _integer,
        "seed": _integer,
    }),
    "split": _fields({"hash": _text, "class_counts": _list_of(_count), "test_counts": _list_of(_count)}, optional={
        "images": _text,
        "unreadable": _fields({"train": _count, "test": _count, "sha256": _text}),
    }),
    "protocol": _fields({"name": _text, "backbone": _text, "epochs": _count}),
    "precision": _text,
    "external": _optional(_text),
    "core": _fields({"version": _text, "commit": _optional(_text), "dirty": _optional(_boolean)}),
    "status": _one_of(*STATUSES),
    "reason": _optional(_text),
    "curve": _list_of(_mapping_of(_anything)),
    "metrics": _optional(_METRICS),
    "per_class": _optional(_fields({"correct": _list_of(_count), "total": _list_of(_count)})),
    "predictions": _optional(_fields({"file": _file_name(".npz"), "sha256": _text})),
    "timing": _fields({
        "seconds": _mapping_of(_optional(_between(0, 1e12))),
        "peak_memory_bytes": _mapping_of(_optional(_count)),
    }),
    "environment": _mapping_of(_anything),
}, optional={
    "geometry": _optional(_fields({
        "file": _file_name(".safetensors"), "sha256": _text, "holds": _one_of("statistics", "features"),
    })),
    "paper": _optional(_text),
    "tuning_trials": _count,
    "tuning": _TUNING,
    "cost": _optional(_fields({"parameters": _count, "operations": _count, "relative": _between(0, 1e12)})),
    "pretraining": _optional(_PRETRAINING),
})


def check(record: object) -> list[str]:
    """Return one line for each field that is not as the schema says; an empty list for a sound record.

    Args:
        record: As read from JSON.
    """
    if isinstance(record, dict) and record.get("schema") != SCHEMA:
        version = "is missing" if "schema" not in record else f"must be {SCHEMA}, got {record['schema']!r:.40}"
        newer = isinstance(record.get("schema"), int) and record["schema"] > SCHEMA
        return [f"schema {version}{'; a newer ltbench wrote it' if newer else ''}"]  # the other rules are of this version only
    problems = list(_RECORD(record, ""))
    return problems or list(_contradictions(record))  # type: ignore[arg-type]


def _contradictions(record: dict[str, Any]) -> Iterator[str]:
    """Find fields that are sound alone and not together."""
    classes = len(record["split"]["class_counts"])
    sized = {"split.test_counts": record["split"]["test_counts"]}
    sized |= {f"per_class.{name}": counts for name, counts in (record["per_class"] or {}).items() if isinstance(counts, list)}
    for path, counts in sized.items():
        yield from _demand(len(counts) == classes, path, f"of {classes} classes", len(counts))
    if record["selection"] == "test" and record["external"] is None:
        yield "selection must be 'last' or 'val' unless the record is external, got 'test'"
    completed = record["status"] == "completed"
    if not completed and record["reason"] is None:
        yield f"reason must be given for a {record['status']} run, got None"
    for name in ("metrics", "per_class", "predictions"):
        if completed and record[name] is None:
            yield f"{name} must be given for a completed run, got None"
    counts = record["per_class"]
    if counts and any(hits > images for hits, images in zip(counts["correct"], counts["total"], strict=False)):
        yield "per_class.correct must be at most per_class.total in every class"
    if counts and counts["total"] != record["split"]["test_counts"]:
        yield "per_class.total must be equal to split.test_counts"
