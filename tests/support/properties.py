"""Properties that must hold for whatever strangers write: a few examples in every run of the tests, many in the slow part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ltbench.errors import UserError

ResultT = TypeVar("ResultT")

# Signs that mean something in expressions, lists and ratios, some that end lines, and some that no terminal shows.
SIGNS = "abz_019.-+/,=()[]{}@:\"' \t\r\n\v\x00\x1c\x85\u2028\u0663\ud800é"
TEXTS = st.text(st.sampled_from(SIGNS), max_size=12) | st.text(max_size=8)
# Runs flush subnormal numbers to 0, in this process and from then on, which hypothesis would take for a broken processor.
FLOATS = st.floats(allow_subnormal=False)
NUMBERS = st.integers() | FLOATS | st.sampled_from([10**400, -10**400, 2**63, 1e308, -0.0])
ATOMS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8)


def amounts(quick: int, long: int) -> pytest.MarkDecorator:
    """Run a test with a few examples, and in the slow part with many: they are the same ones in every run."""
    return pytest.mark.parametrize("examples", [quick, pytest.param(long, marks=pytest.mark.slow)], ids=["few", "many"])


def holds(examples: int, check: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """Demand that a check passes for all examples; the smallest one that fails is shown.

    Args:
        check: Takes one of each strategy by its name.
    """
    terms = settings(max_examples=examples, derandomize=True, deadline=None, database=None, print_blob=False,
                     phases=[Phase.explicit, Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
    terms(given(**strategies)(check))()


def answered(call: Callable[[], ResultT]) -> ResultT | None:
    """Return a result, or None where it is refused in one line; any other error is one of ours."""
    try:
        return call()
    except UserError as error:
        assert str(error) and "\n" not in str(error), repr(str(error))
        return None
