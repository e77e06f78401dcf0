"""Properties that must hold for whatever strangers write.

Every run of the tests tries the same few examples; the slow part tries new ones, as many as come in some seconds, and says of
those that fail by which seed they come again::

    LTBENCH_FUZZ_SEED=123 python -m pytest -n 0 tests/data/test_list_properties.py -k any_json
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from ltbench.errors import UserError

ResultT = TypeVar("ResultT")

MINUTE = 60.0  # in the slow part, for each kind of what strangers write: its tests share it
SEED = "LTBENCH_FUZZ_SEED"
_ROUND = 50  # new examples between two looks at the clock, by a seed of their own

# Signs that mean something in expressions, lists and ratios, some that end lines, and some that no terminal shows.
SIGNS = "abz_019.-+/,=()[]{}@:\"' \t\r\n\v\x00\x1c\x85\u2028\u0663\ud800é"
TEXTS = st.text(st.sampled_from(SIGNS), max_size=12) | st.text(max_size=8)
# Runs flush subnormal numbers to 0, in this process and from then on, which hypothesis would take for a broken processor.
FLOATS = st.floats(allow_subnormal=False)
NUMBERS = st.integers() | FLOATS | st.sampled_from([10**400, -10**400, 2**63, 1e308, -0.0])
ATOMS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8)


def amounts(few: int) -> pytest.MarkDecorator:
    """Run a test with a few examples, the same ones in every run, and in the slow part with new ones."""
    return pytest.mark.parametrize("examples", [few, pytest.param(None, marks=pytest.mark.slow)], ids=["few", "new"])


def holds(examples: int | None, check: Callable[..., None], share: float = 1 / 4, **strategies: st.SearchStrategy[Any]) -> None:
    """Demand that a check passes for all examples; the smallest one that fails is shown.

    Args:
        examples: How many of those that are the same in every run; None for new ones.
        check: Takes one of each strategy by its name.
        share: Of the minute.
    """
    end = time.monotonic() + share * MINUTE
    stated = os.environ.get(SEED)
    terms = settings(max_examples=examples or _ROUND, derandomize=examples is not None, deadline=None, database=None,
                     print_blob=False, phases=[Phase.explicit, Phase.generate, Phase.shrink],
                     suppress_health_check=list(HealthCheck))
    if examples is not None:
        terms(given(**strategies)(check))()
        return
    while True:
        number = secrets.randbelow(2**32) if stated is None else int(stated)
        try:
            seed(number)(terms(given(**strategies)(check)))()
        except Exception as error:
            error.add_note(f"{SEED}={number} tries these examples again")
            raise
        if stated is not None or time.monotonic() > end:
            return


def answered(call: Callable[[], ResultT]) -> ResultT | None:
    """Return a result, or None where it is refused in one line; any other error is one of ours."""
    try:
        return call()
    except UserError as error:
        assert str(error) and "\n" not in str(error), repr(str(error))
        return None
