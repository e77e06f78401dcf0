"""An experiment as the text of its file, and the JSON Schema by which editors complete and check it."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ltbench.planning.experiment import Experiment

SCHEMA_FILE = "experiment.schema.json"
_WIDTH = 120


class _Generator(GenerateJsonSchema):
    """Leave out the titles that pydantic makes of the fields' names, which say nothing more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_text() -> str:
    """Return the JSON Schema, version 2020-12."""
    schema = Experiment.model_json_schema(schema_generator=_Generator)
    return json.dumps({"$schema": GenerateJsonSchema.schema_dialect, **schema}, indent=1) + "\n"


def to_toml(experiment: Experiment) -> str:
    """Return the text that says what an experiment says, and nothing that it leaves open."""
    content = experiment.model_dump(exclude_unset=True)
    matrices = content.pop("matrix")
    return "\n".join([*_lines(content), *(line for one in matrices for line in ("", "[[matrix]]", *_lines(one)))]).lstrip() + "\n"


def _lines(table: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in table.items():
        key = path + (name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name))
        if isinstance(value, dict):
            yield from _lines(value, f"{key}.")
        elif isinstance(value, list) and len(f"{key} = {_value(value)}") > _WIDTH:
            items = textwrap.wrap(", ".join(_value(item).replace(" ", "\0") for item in value), _WIDTH - 10,
                                  break_long_words=False, break_on_hyphens=False)
            yield "\n".join([f"{key} = [", *(f"    {item}".replace("\0", " ") for item in items), "]"])
        else:
            yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    """Write a value; JSON and TOML spell all of these alike, but for one sign within texts."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
