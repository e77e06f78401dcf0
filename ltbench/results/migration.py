"""Records of an older schema, brought up to this one's as they are read; the file stays as it was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ltbench.results.schema import SCHEMA

Step: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

# Version -> what turns a record of it into one of the next. Empty: version 1 is the first, and still the one that is written.
STEPS: dict[int, Step] = {}


def migrate(value: Any) -> Any:
    """Return a record of this version's schema; what is none, or has a version without a step, comes back as it is.

    Whether the result is sound is for the schema to say: a step may meet a record that somebody has damaged.
    """
    while isinstance(value, dict) and _version(value) in STEPS:
        version = _version(value)
        try:
            value = {**STEPS[version](value), "schema": version + 1}
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return value  # refused for its version, as a record that no step leads from
    return value


def _version(value: dict[str, Any]) -> int:
    version = value.get("schema")
    return version if type(version) is int and version < SCHEMA else SCHEMA
