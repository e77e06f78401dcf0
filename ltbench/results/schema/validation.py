"""A record from JSON, refused with every field that is not as the schema says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ltbench.results.schema import SCHEMA, Record
from ltbench.results.schema.constraints import CONSTRAINT
from ltbench.terms.shots import splits_of

_SHOWN = 5  # problems in one line
_WORDS = {"model_type": "an object", "dict_type": "an object", "list_type": "a list", "string_type": "a text"}


class BrokenRecord(ValueError):
    """Say what is wrong with a record.

    Args:
        problems: One line for each field.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        super().__init__("; ".join(problems[:_SHOWN]) + more)


def validate(value: Any) -> Record:
    """Return the record that JSON holds.

    Raises:
        BrokenRecord: If a field is not as the schema says, or two contradict each other.
    """
    if isinstance(value, dict) and not (type(value.get("schema")) is int and value["schema"] == SCHEMA):
        version = "is missing" if "schema" not in value else f"must be {SCHEMA}, got {value['schema']!r:.40}"
        newer = isinstance(value.get("schema"), int) and value["schema"] > SCHEMA
        # The other rules are of this version only.
        raise BrokenRecord([f"schema {version}{'; a newer ltbench wrote it' if newer else ''}"])
    try:
        record = Record.model_validate(value)
    except ValidationError as error:
        raise BrokenRecord([_line(one) for one in error.errors(include_url=False)]) from None
    if problems := list(_contradictions(record)):
        raise BrokenRecord(problems)
    return record


def _line(error: ErrorDetails) -> str:
    """Put an error of pydantic into our words."""
    kind, place = error["type"], error["loc"]
    if kind == "missing":
        return f"{_path(place)} is missing"
    if kind == "value_error":  # of a mapping's key
        return f"{_path(place[:-2])}: {error['ctx']['error']}"
    words = error["msg"] if kind == CONSTRAINT else _WORDS.get(kind, error["msg"])
    return _demand(_path(place), words, error["input"])


def _path(place: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "the record"


def _demand(path: str, words: str, value: object) -> str:
    text = repr(value)
    return f"{path} must be {words}, got {text if len(text) <= 60 else text[:57] + '...'}"


def _contradictions(record: Record) -> Iterator[str]:
    """Find fields that are sound alone and not together."""
    classes = len(record.split.class_counts)
    sized: dict[str, Sized] = {"split.test_counts": record.split.test_counts}
    if record.split.held_out is not None:
        sized["split.held_out"] = record.split.held_out
    if record.split.class_names is not None:
        sized["split.class_names"] = record.split.class_names
    if (tested := record.per_class) is not None:
        sized |= {"per_class.correct": tested.correct, "per_class.total": tested.total}
    yield from (_demand(path, f"of {classes} classes", len(counts)) for path, counts in sized.items() if len(counts) != classes)
    if record.protocol.splits is not None:
        try:
            splits_of(record.protocol.splits)
        except ValueError as error:
            yield f"protocol.{error}"
    if record.selection == "test" and record.external is None:
        yield "selection must be 'last' or 'val' unless the record is external, got 'test'"
    completed = record.status == "completed"
    if not completed and record.reason is None:
        yield f"reason must be given for a {record.status} run, got None"
    for name in ("metrics", "per_class", "predictions"):
        if completed and getattr(record, name) is None:
            yield f"{name} must be given for a completed run, got None"
    if tested is not None:
        if any(hits > images for hits, images in zip(tested.correct, tested.total, strict=False)):
            yield "per_class.correct must be at most per_class.total in every class"
        if tested.total != record.split.test_counts:
            yield "per_class.total must be equal to split.test_counts"
