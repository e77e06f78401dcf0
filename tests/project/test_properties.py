"""The examples of properties: the same few every time, and new ones that a seed brings back."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st

from tests.support import properties
from tests.support.properties import SEED, holds


def tried(examples: int | None) -> list[int]:
    seen: list[int] = []
    holds(examples, lambda x: seen.append(x), share=1, x=st.integers())
    return seen


def test_few_are_the_same_in_every_run_and_new_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SEED, raising=False)
    monkeypatch.setattr(properties, "MINUTE", 0.0)
    assert tried(20) == tried(20)
    assert tried(None) != tried(None)


def test_new_ones_come_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SEED, raising=False)
    monkeypatch.setattr(properties, "MINUTE", 2.0)
    clock = itertools.count()  # a second passes between two looks at it, however busy the machine is
    monkeypatch.setattr(properties, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert len(tried(None)) > properties._ROUND and next(clock) == 4  # it began at 0, and went on at 1 and 2 but not at 3


def test_the_seed_of_a_failure_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SEED, raising=False)
    monkeypatch.setattr(properties, "MINUTE", 2400.0)

    def failure() -> tuple[list[int], str]:
        seen: list[int] = []

        def check(x: int) -> None:
            seen.append(x)
            assert x < 10**9

        with pytest.raises(AssertionError) as caught:
            holds(None, check, x=st.integers())
        return seen, caught.value.__notes__[-1]

    first, told = failure()
    name, _, number = told.removesuffix(" tries these examples again").partition("=")
    assert name == SEED and told.endswith(" again")
    monkeypatch.setenv(name, number)
    again, same = failure()
    assert same == told and first[-len(again):] == again  # the rounds before it, which passed, are not tried again
