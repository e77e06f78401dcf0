"""The check of one record: everything that can be known of it without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.results.migration import migrate
from ltbench.results.reading import parse
from ltbench.results.schema import SCHEMA, Record
from ltbench.results.schema.validation import BrokenRecord, validate
from ltbench.trust.beside import check_geometry, check_logits, read_predictions
from ltbench.trust.fields import check_fields
from ltbench.trust.ground import Ground, check_images, check_split
from ltbench.trust.remark import LEVELS, Remark, error, note, refused
from ltbench.trust.terms import check_terms
from ltbench.trust.tuning import check_validation

_SHOWN = 5  # fields that break the schema


def check_record(path: Path, registry: Registry, ground: Ground) -> tuple[Record | None, list[Remark]]:
    """Check a record and what lies beside it; nothing is written and nothing of it is run.

    Returns:
        The record, None where it cannot be read or breaks the schema, and what was found, errors first.
    """
    try:
        return check_value(path, parse(path), registry, ground)[:2]
    except UserError as problem:
        return None, [unread(path, problem)]


def unread(path: Path, problem: UserError) -> Remark:
    """Return what is said of a file that cannot be read."""
    return error("", str(problem).removeprefix(f"record {path} "))


def check_value(path: Path, value: Any, registry: Registry, ground: Ground) -> tuple[Record | None, list[Remark], str | None]:
    """Check what a record's file holds, see :func:`check_record`; also return the hash of its test images and their labels."""
    migrated = migrate(value)
    try:
        record = validate(migrated)
    except BrokenRecord as broken:
        more = [error("", f"and {len(broken.problems) - _SHOWN} more fields")] if len(broken.problems) > _SHOWN else []
        return None, [*(error("", problem) for problem in broken.problems[:_SHOWN]), *more], None
    remarks = [] if migrated is value else [note("schema", f"{value['schema']}, read as {SCHEMA}")]
    remarks += check_fields(record)
    predictions, found = read_predictions(path, record)
    remarks += found
    if not refused(remarks):  # what contradicts itself says nothing that could be looked up
        remarks += check_geometry(path, record)
        remarks += check_logits(path, record, predictions)
        data, found = ground.find(record)
        remarks += found
        if data is not None:
            remarks += check_split(record, data)
            remarks += check_validation(record, data)
            remarks += [] if predictions is None else check_images(predictions, data)
        remarks += check_terms(record, registry, data, ground.root)
    tested = None if predictions is None else predictions.tested_on()
    return record, sorted(remarks, key=lambda remark: LEVELS.index(remark.level)), tested
