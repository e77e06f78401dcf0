from __future__ import annotations

import sys

import pytest

from ltbench.errors import UserError
from ltbench.method.search import Choice, LogUniform, Range, Uniform
from ltbench.running.tuning.sampler import Sampler

SPACE: dict[str, Range] = {"a.x": Uniform(0.123456, 2.0), "a.y": LogUniform(1e-6, 1.0), "b.z": Choice(1, None, "word")}


def _run(trials: int, seed: int = 0) -> list[dict[str, object]]:
    sampler, asked = Sampler(SPACE, seed), []
    for _ in range(trials):
        values = sampler.ask()
        sampler.tell(None if values["b.z"] is None else -abs(values["a.x"] - 1))
        asked.append(values)
    return asked


def test_a_longer_study_begins_with_the_shorter_one() -> None:
    asked = _run(25)  # the first ten are drawn before the estimator has a say
    assert asked[:15] == _run(15)
    assert asked[:5] != _run(5, seed=1)


def test_values_lie_in_their_range_with_four_significant_digits() -> None:
    for values in _run(25):
        assert all(values[name] in where for name, where in SPACE.items())
        assert float(f"{values['a.y']:.4g}") == values["a.y"]


def test_it_comes_closer_to_what_scored_well() -> None:
    sampler, distances = Sampler({"a.x": Uniform(0.0, 2.0)}, 0), []
    for _ in range(40):
        distances.append(abs(float(sampler.ask()["a.x"]) - 1))
        sampler.tell(-distances[-1])
    assert sum(distances[-20:]) < sum(distances[:20])


def test_optuna_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"tuning needs Optuna: pip install 'ltbench\[tune\]'"):
        Sampler(SPACE, 0)
