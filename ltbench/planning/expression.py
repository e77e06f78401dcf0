"""Expressions such as ``ldam+drw/crt``: ``+`` joins methods within a stage, ``/`` separates stages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltbench.errors import UserError, unknown
from ltbench.method import hyperparameters, stack
from ltbench.method.contract import Method
from ltbench.registry.catalog import Registered
from ltbench.registry.discovery import Registry
from ltbench.registry.specs import MethodSpec

_METHOD = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Node:
    """Hold a method as written: a name and its options as text."""

    name: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Member:
    """Hold a method as resolved: its class and every hyperparameter.

    Args:
        given: Names of those hyperparameters that the user set.
    """

    entry: Registered[MethodSpec]
    method: type[Method]
    values: Mapping[str, Any]
    given: frozenset[str] = frozenset()

    def __str__(self) -> str:
        changed = {name: self.values[name] for name, (_, default) in hyperparameters.declared(self.method).items()
                   if self.values[name] != default}
        options = ",".join(f"{name}={hyperparameters.format_value(value)}" for name, value in sorted(changed.items()))
        return f"{self.method.name}({options})" if options else self.method.name


@dataclass(frozen=True)
class Expression:
    """Hold the stages of a training recipe.

    Args:
        stages: The methods of each, in canonical order.
    """

    stages: tuple[tuple[Member, ...], ...]

    def __str__(self) -> str:
        return "/".join(self.stage_text(number) for number in range(1, len(self.stages) + 1))

    def stage_text(self, number: int) -> str:
        """Return one stage's part of the canonical form, counted from 1."""
        return "+".join(str(choice) for choice in self.stages[number - 1])

    @property
    def hash(self) -> str:
        """sha256 of the methods with every hyperparameter resolved."""
        content = [[[choice.method.name, dict(choice.values)] for choice in stage] for stage in self.stages]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def as_typed(expression: Expression, text: str, registry: Registry) -> str:
    """Write an expression with the methods of each stage in the order in which they were typed: it means nothing to a training.

    Args:
        text: What was typed, perhaps without the stages that it stands on.
    """
    typed = [[registry.methods.get(node.name).spec.name for node in stage] for stage in parse(text)]
    if len(typed) > len(expression.stages):
        return str(expression)
    stages = []
    for number, stage in enumerate(expression.stages, start=len(typed) - len(expression.stages)):
        order = typed[number] if number >= 0 else []
        places = [order.index(choice.method.name) if choice.method.name in order else len(order) for choice in stage]
        stages.append("+".join(str(stage[i]) for i in sorted(range(len(stage)), key=places.__getitem__)))
    return "/".join(stages)


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at a separator outside parentheses and brackets: a list of expressions, stages, methods or options.

    Args:
        text: For example ``a(x=1,y=2),b``.

    Raises:
        UserError: If parentheses do not match or a part is empty.
    """
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += character in "(["
        depth -= character in ")]"
        if depth < 0:
            break
        if character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    if depth != 0:
        raise UserError(f"parentheses do not match in {text!r}")
    parts = [part.strip() for part in parts]
    if "" in parts:
        raise UserError(f"something is missing beside {separator!r} in {text!r}")
    return parts


def parse(text: str) -> list[list[Node]]:
    """Read an expression as written, without looking any name up.

    Raises:
        UserError: If it is no expression.
    """
    return [[_parse_method(part) for part in split_list(stage, "+")] for stage in split_list(text, "/")]


def _parse_method(text: str) -> Node:
    match = _METHOD.fullmatch(text)
    if not match:
        raise UserError(f"a method must be written as name or name(key=value), got {text!r}")
    return Node(match[1], parse_options(match[2], text))


def parse_options(inside: str | None, text: str) -> tuple[tuple[str, str], ...]:
    """Read ``key=value,key=value``.

    Args:
        inside: What stands between a name's parentheses; None where it has none.
        text: The whole, for messages.

    Raises:
        UserError: If an option has no value or stands twice.
    """
    options: dict[str, str] = {}
    for option in split_list(inside) if inside and inside.strip() else []:
        key, equals, value = (part.strip() for part in option.partition("="))
        if not equals:
            raise UserError(f"an option must be written as key=value, got {option!r} in {text!r}")
        if key in options:
            raise UserError(f"option {key!r} stands twice in {text!r}")
        options[key] = value
    return tuple(options.items())


def resolve(text: str, registry: Registry, settings: Mapping[str, Mapping[str, Any]] | None = None,
            stage1: str | None = None) -> Expression:
    """Turn text into classes with hyperparameters; refuse what cannot work, before any data is read.

    Args:
        settings: Hyperparameters from ``--set``: canonical method name -> key -> value. An expression's own options win.
        stage1: What a second-stage name alone stands on; None for what its methods say, or the base method.

    Raises:
        UserError: For unknown names, ill-typed values and conflicts.
    """
    stages = [[_choose(node, registry, settings or {}) for node in stage] for stage in parse(text)]
    if any(1 not in choice.method.stages for choice in stages[0]):
        below = resolve(stage1 or _below(stages[0]) or registry.base_method, registry, settings)
        stages = [*(list(stage) for stage in below.stages), *stages]
    return Expression(tuple(order_stage(stage, number) for number, stage in enumerate(stages, start=1)))


def _below(stage: Sequence[Member]) -> str | None:
    """Return what the methods of a later stage say that it stands on."""
    wishes = {choice.method.below: choice.method.name for choice in stage if choice.method.below is not None}
    if len(wishes) > 1:
        told = " and ".join(f"{name!r} on {wish}" for wish, name in wishes.items())
        raise UserError(f"methods of one stack must stand on the same stage, got {told}; type the stage below")
    return next(iter(wishes), None)


def order_stage(stage: Sequence[Member], number: int) -> tuple[Member, ...]:
    """Check a stage's methods and put them in canonical order.

    Args:
        number: From 1.

    Raises:
        UserError: If they cannot stand together or there.
    """
    stack.check([choice.method for choice in stage], number)
    # The base method is what every stack starts from: beside others it says nothing.
    kept = [choice for choice in stage if not choice.entry.spec.base] or list(stage)
    return tuple(kept[i] for i in stack.canonical_order([choice.method for choice in kept]))


def choose(name: str, registry: Registry, settings: Mapping[str, Mapping[str, Any]] | None = None) -> Member:
    """Return a method with its defaults, or what ``--set`` says.

    Raises:
        UserError: If there is none of that name.
    """
    return _choose(Node(name), registry, settings or {})


def _choose(node: Node, registry: Registry, settings: Mapping[str, Mapping[str, Any]]) -> Member:
    entry = registry.methods.get(node.name)
    method = entry.load()
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UserError(f"{entry.spec.target} of {entry.distribution} is no ltbench.Method")
    given = {**settings.get(entry.spec.name, {}), **dict(node.options)}
    try:
        return Member(entry, method, hyperparameters.resolve(method, given), frozenset(given))
    except (TypeError, NameError) as error:  # the method's mistake, not the user's: name whose it is
        raise UserError(f"method {node.name!r} of {entry.distribution} cannot be used: {error}") from error


def parse_settings(items: Sequence[str], registry: Registry) -> dict[str, dict[str, Any]]:
    """Read ``--set name.key=value`` options; :func:`check_settings` tells which of them say nothing.

    Raises:
        UserError: If one is malformed or names no method.
    """
    pairs = [item.partition("=") for item in items]
    if malformed := [item for item, (_, equals, _) in zip(items, pairs, strict=True) if not equals]:
        raise UserError(f"--set must be name.key=value, got {malformed[0]!r}")
    return group_settings([(path, value.strip()) for path, _, value in pairs], registry)


def group_settings(pairs: Iterable[tuple[str, Any]], registry: Registry) -> dict[str, dict[str, Any]]:
    """Return hyperparameters by the canonical name of their method and their own.

    Args:
        pairs: ``method.name`` and the value.

    Raises:
        UserError: If one is malformed, stands twice or names no method.
    """
    settings: dict[str, dict[str, Any]] = {}
    for path, value in pairs:
        name, dot, key = path.strip().partition(".")
        if not (dot and key):
            raise UserError(f"--set must be name.key=value, got {f'{path}={value}'!r}")
        canonical = registry.methods.get(name).spec.name
        if key in settings.setdefault(canonical, {}):
            raise UserError(f"--set {canonical}.{key} stands twice")
        settings[canonical][key] = value
    return settings


def check_settings(settings: Mapping[str, Mapping[str, Any]], expressions: Sequence[Expression]) -> None:
    """Refuse to set a method that no expression holds.

    Raises:
        UserError: Naming the method.
    """
    used = {choice.method.name for expression in expressions for stage in expression.stages for choice in stage}
    for name in settings:
        if name not in used:
            raise unknown("method of this run in --set", name, used)
