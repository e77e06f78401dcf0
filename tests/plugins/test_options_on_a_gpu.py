"""Every method with every choice that an option of its leaves, on a GPU's stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest

from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.registry.discovery import load_registry
from ltbench.terms import ranges
from ltbench.testing import scene
from ltbench.testing.stand_in import stand_in
from ltbench.testing.subject import Subject
from ltbench.testing.training import require_finite

REGISTRY = load_registry(strict=False)


def choices(annotation: Any) -> list[Any]:
    """Return the values of an option that has few."""
    kinds = [ranges.bare(option) for option in ranges.options(annotation)]
    return [value for kind in kinds for value in ([False, True] if kind is bool else get_args(kind) if get_origin(kind) is Literal
                                                  else [])]


def expressions(method: str) -> Iterator[str]:
    """Yield a method with each of its choices but the default."""
    for name, (annotation, default) in hyperparameters.declared(REGISTRY.methods.get(method).load()).items():
        for value in choices(annotation):
            if value != default:
                for text in Subject(method).expressions:
                    before, slash, _ = text.rpartition("/")
                    yield f"{before}{slash}{method}({name}={hyperparameters.format_value(value)})"


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in REGISTRY.methods if next(expressions(name), None)])
def test_every_choice_stays_on_the_device(method: str) -> None:
    with stand_in():
        place = scene.Scene(scene.installed(), protocol=Subject(method).on(scene.PROTOCOL))
        for text in expressions(method):
            with scene.scratch() as folder:
                try:
                    engine = place.train(text, folder).engine
                except UserError:  # a choice that needs another option
                    continue
                require_finite(text, place.logits(engine))


def test_choices_are_tried() -> None:
    assert "ce/pc(distance=cosine)" in list(expressions("pc")) and "nc(means=running)" in list(expressions("nc"))
