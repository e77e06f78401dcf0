"""The schema as others read it: JSON Schema, made from the models.

Write it to a file with ``python -m ltbench.results.schema.published FILE``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ltbench.results.schema.record import Record


class _Generator(GenerateJsonSchema):
    """Leave out the titles that pydantic makes of the fields' names, which say nothing more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record, version 2020-12."""
    schema = Record.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def text() -> str:
    """Return the file that is published."""
    return json.dumps(json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
