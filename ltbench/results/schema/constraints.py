"""The values of which a record is made, each with the words that an error says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ltbench.terms.shift import parse_shift

CONSTRAINT = "constraint"  # the type of pydantic's errors whose message is a constraint's words
_BEYOND = 2**63  # of an integer that other readers of JSON can hold


@dataclass(frozen=True, eq=False)
class Constraint:
    """Have pydantic check a value by a schema of its core, which runs no Python, and describe it in our words.

    Args:
        words: What a value must be, as an error says it.
        schema: The core's schema.
        published: The JSON Schema; None for what pydantic makes of ``schema``.
    """

    words: str
    schema: CoreSchema
    published: dict[str, Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(self.schema, custom_error_type=CONSTRAINT, custom_error_message=self.words)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(handler(self.schema) if self.published is None else self.published)


def _integer(words: str, low: int) -> Constraint:
    published = {"minimum": 0} if low == 0 else {}
    return Constraint(words, core_schema.int_schema(strict=True, ge=low, lt=_BEYOND), {"type": "integer", **published})


def _number(words: str, low: float, high: float) -> Constraint:
    """Admit integers too, and keep them as such: 20 is written again as 20 and not as 20.0. NaN and true are no numbers."""
    whole = core_schema.int_schema(strict=True, ge=max(int(low), -_BEYOND), le=min(int(high), _BEYOND))
    real = core_schema.float_schema(strict=True, allow_inf_nan=False, ge=low, le=high)
    published = {"minimum": low, "maximum": high} if high <= 1e12 else {}
    return Constraint(words, core_schema.union_schema([whole, real]), {"type": "number", **published})


def between(low: float, high: float) -> Constraint:
    """Demand a number from ``low`` to ``high``."""
    return _number(f"a number in [{low:g}, {high:g}]", low, high)


def one_of(*choices: str) -> Constraint:
    """Demand one of some texts."""
    return Constraint(f"one of {', '.join(choices)}", core_schema.literal_schema(list(choices)))


def _file_name(ending: str) -> Constraint:
    """Demand a bare name: a record from elsewhere must not point out of its folder."""
    pattern = rf"^[^./\\:\x00][^/\\:\x00]*\.{ending}$"
    return Constraint(f"the name of an .{ending} file next to the record", core_schema.str_schema(strict=True, pattern=pattern))


Text: TypeAlias = Annotated[str, Constraint("a non-empty text", core_schema.str_schema(strict=True, min_length=1))]
Boolean: TypeAlias = Annotated[bool, Constraint("true or false", core_schema.bool_schema(strict=True))]
Integer: TypeAlias = Annotated[int, _integer("an integer", -_BEYOND)]
Count: TypeAlias = Annotated[int, _integer("an integer >= 0", 0)]
Number: TypeAlias = Annotated[float, _number("a number", -1e300, 1e300)]
Percent: TypeAlias = Annotated[float, between(0, 100)]
Fraction: TypeAlias = Annotated[float, between(0, 1)]
Amount: TypeAlias = Annotated[float, between(0, 1e12)]
NpzName: TypeAlias = Annotated[str, _file_name("npz")]
SafetensorsName: TypeAlias = Annotated[str, _file_name("safetensors")]


@dataclass(frozen=True)
class _Checked:
    """Demand a text that a function takes without a ValueError."""

    function: Callable[[str], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, core_schema.str_schema(strict=True))

    def _check(self, text: str) -> str:
        self.function(text)
        return text


ShiftName: TypeAlias = Annotated[str, _Checked(parse_shift)]
