"""What tuning looks for in methods of the first stage that the literature tunes by set."""

from __future__ import annotations

import pytest

from ltbench.method import hyperparameters
from ltbench.method.contract import Method
from ltbench_baselines.dro_lt import DistributionalRobustness
from ltbench_baselines.dro_lt_public import PublicRobustness
from ltbench_baselines.ride import RoutedExperts

ROBUSTNESS = {"epsilon": "0 to 2", "weight": "0.1 to 10, by logarithm"}


@pytest.mark.parametrize(("method", "expected"), [
    (RoutedExperts, {"diversity": "0 to 1", "awareness": "0.005 to 0.5, by logarithm"}),
    (DistributionalRobustness, ROBUSTNESS),
    (PublicRobustness, ROBUSTNESS),
])
def test_what_may_be_tuned(method: type[Method], expected: dict[str, str]) -> None:
    space = hyperparameters.search_space(method)
    assert {name: str(where) for name, where in space.items()} == expected
    for name, where in space.items():  # the defaults and the public settings lie in it, and the method takes its ends
        assert hyperparameters.declared(method)[name][1] in where
        for value in where.ends:
            assert hyperparameters.resolve(method, {name: value})[name] == value
    printed = {RoutedExperts: {"diversity": (0.2, 0.45), "awareness": (0.015, 0.02, 0.05)}}
    assert all(value in space[name] for name, values in printed.get(method, {}).items() for value in values)
