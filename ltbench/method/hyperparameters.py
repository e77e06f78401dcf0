"""Hyperparameters of a method: read from its constructor's signature, converted from text, refused by name."""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ltbench.errors import UserError, unknown
from ltbench.method.contract import Method
from ltbench.method.search import Choice, Range, Uniform
from ltbench.method.values import Facts
from ltbench.terms import ranges


def declared(method: type[Any]) -> Mapping[str, tuple[Any, Any]]:
    """Return the annotation and the default of each hyperparameter: the keyword-only arguments of a class's constructor.

    Raises:
        TypeError: If one lacks an annotation or a default.
    """
    return _declared(method.__init__, method.__name__)


@functools.lru_cache(1024)  # planning asks thousands of times; a class that is defined anew has a new constructor
def _declared(constructor: Callable[..., Any], called: str) -> Mapping[str, tuple[Any, Any]]:
    hints = ranges.hints(constructor)
    found: dict[str, tuple[Any, Any]] = {}
    for name, parameter in inspect.signature(constructor).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.default is inspect.Parameter.empty or name not in hints:
            raise TypeError(f"{called}.{name} must have an annotation and a default")
        found[name] = (hints[name], parameter.default)
    return types.MappingProxyType(found)


def search_space(method: type[Method]) -> dict[str, Range]:
    """Return where ``ltbench tune`` looks for hyperparameters, by name: what their annotations say of it."""
    found = {name: next(ranges.stated(annotation, Uniform | Choice), None) for name, (annotation, _) in declared(method).items()}
    return {name: where for name, where in found.items() if where is not None}


def resolve(method: type[Any], given: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
    """Return every hyperparameter's value: given ones converted to their type, defaults for the rest.

    Args:
        method: The class.
        given: Values by name; text is converted, as typed in a shell.
        name: What the class is called in messages; None for its own ``name``.

    Raises:
        UserError: For an unknown name or an ill-typed value.
    """
    known = declared(method)
    called = name or method.name
    for key in given:
        if key not in known:
            raise unknown(f"hyperparameter of {called!r}", key, known)
    values = {}
    for key, (annotation, default) in known.items():
        if key in given:
            values[key] = _convert(f"{called}.{key}", given[key], annotation)
        else:  # 1 and 1.0 for a float are one value
            values[key] = float(default) if ranges.bare(annotation) is float and type(default) is int else default
    return values


def build(method: type[Method], facts: Facts, values: Mapping[str, Any]) -> Method:
    """Construct a method; what its constructor refuses becomes the user's error.

    Raises:
        UserError: If the constructor raises ValueError.
    """
    try:
        return method(facts, **values)
    except ValueError as error:
        raise UserError(f"method {method.name!r}: {error}") from error


def format_value(value: Any) -> str:
    """Write a value the way an expression spells it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ",".join(format_value(item) for item in value) + "]"
    return value if isinstance(value, str) else repr(value)


def _convert(name: str, value: Any, annotation: Any) -> Any:
    for option in sorted(ranges.options(annotation), key=lambda option: option is not types.NoneType):  # "none" is no word there
        try:
            return _as(value, ranges.bare(option))
        except (ValueError, TypeError, OverflowError):  # the last: an integer that is too large for a float
            continue
    raise UserError(f"{name} must be {describe(annotation)}, got {value!r}")


def describe(annotation: Any) -> str:
    """Say in words what type an annotation is of."""
    return " or ".join(_describe(ranges.bare(option)) for option in ranges.options(annotation))


def _as(value: Any, kind: Any) -> Any:
    if kind is types.NoneType:
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        raise ValueError
    if typing.get_origin(kind) is Literal:
        for choice in typing.get_args(kind):
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise ValueError
    if typing.get_origin(kind) is tuple:
        items = value
        if isinstance(value, str):
            if not (value.startswith("[") and value.endswith("]")):
                raise ValueError
            items = [item.strip() for item in value[1:-1].split(",")] if value[1:-1].strip() else []
        if not isinstance(items, (tuple, list)):
            raise ValueError
        if any(isinstance(item, str) and (not item or "," in item) for item in items):
            raise ValueError
        return tuple(_as(item, typing.get_args(kind)[0]) for item in items)
    if kind is bool:
        text = str(value).lower()
        if text not in ("true", "false"):
            raise ValueError
        return text == "true"
    if kind in (int, float):
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        number = kind(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if kind is str and isinstance(value, str) and _is_word(value):
        return value
    raise ValueError


def _is_word(text: str) -> bool:
    """Tell whether an expression can spell a text, so that reading it gives the text back: brackets match, commas are in some."""
    depth = 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if depth < 0 or (sign == "," and depth == 0):
            return False
    return depth == 0 and text.isprintable() and text == text.strip()


def _describe(kind: Any) -> str:
    if kind is types.NoneType:
        return "none"
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"a list such as [a,b], each {_describe(typing.get_args(kind)[0])}"
    return {bool: "true or false", int: "an integer", float: "a finite number", str: "a word"}.get(kind, str(kind))
