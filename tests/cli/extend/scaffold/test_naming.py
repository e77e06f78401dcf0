from __future__ import annotations

import pytest

from ltbench.cli.extend.scaffold.kinds import KINDS
from ltbench.cli.extend.scaffold.naming import choose_names
from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry


@pytest.mark.parametrize(("typed", "kind", "expected"), [
    ("my_loss", "loss", ("my_loss", "my_loss", "ltbench_my_loss", "ltbench-my-loss", "MyLoss")),
    ("my-digits", "dataset", ("my_digits", "my-digits", "ltbench_my_digits", "ltbench-my-digits", "MyDigits")),
    ("ltbench-arb2", "loss", ("arb2", "arb2", "ltbench_arb2", "ltbench-arb2", "Arb2")),
])
def test_what_follows_from_a_name(typed: str, kind: str, expected: tuple[str, ...]) -> None:
    names = choose_names(typed, KINDS[kind], load_registry(strict=False))
    assert (names.name, names.registered, names.package, names.distribution, names.class_name) == expected


@pytest.mark.parametrize(("typed", "message"), [
    *((typed, "NAME must be lower-case words of letters") for typed in ("My_Loss", "2nd", "a__b", "../up", "a" * 31, "")),
    ("class", "NAME must not be a word of Python's own"), ("match", "NAME must not be a word of Python's own"),
    ("plugin", "NAME must not be that of the module with the hooks"), ("ltbench-plugin", "NAME must not be that of the module"),
    ("ldam", "ltbench offers a method of that name"), ("focal_loss", "ltbench offers a method of that name"),
    ("digits-lt", "ltbench offers a dataset of that name"), ("norms", "ltbench offers a metric of that name"),
    ("resnet32", "ltbench offers a backbone of that name"), ("baselines", "ltbench has a plugin of that name"),
    ("hyperspherical", "ltbench offers a method of that name"),
])
def test_names_that_cannot_be(typed: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_names(typed, KINDS["loss"], load_registry(strict=False))
