from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from ltbench.data.randomness import _absorb, derive_seed, uniform

MASK = 2**64 - 1


def slow_uniform(key: int, epoch: int, index: int, draw: int) -> float:
    """Follow the definition with Python's own integers."""
    state = 0
    for word in (key, epoch, index, draw):
        state = ((state ^ (word & MASK)) + 0x9E3779B97F4A7C15) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return (state >> 11) / 2**53


def test_one_step_is_splitmix64() -> None:
    # The generator's published first output from seed 0.
    zero = np.zeros(1, np.uint64)
    assert int(_absorb(zero, zero)[0]) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize(("key", "epoch"), [(0, 0), (2**63 - 1, 7), (-5, 199)])
def test_matches_the_definition(key: int, epoch: int) -> None:
    indices = np.array([0, 1, 10846, 2**40, -1])
    expected = [[slow_uniform(key, epoch, int(index), draw) for draw in range(3)] for index in indices]
    assert uniform(key, epoch, indices, 3).tolist() == expected


def test_known_values_never_change() -> None:
    assert uniform(1, 2, [3], 2).tolist() == [[0.07166370763826013, 0.6503755621876899]]
    assert derive_seed("crop", 0, 0) == 2093466714963576635


def test_a_value_does_not_depend_on_its_batch() -> None:
    whole = uniform(9, 4, np.arange(1000), 4)
    some = np.array([999, 3, 3, 500])
    assert np.array_equal(uniform(9, 4, some, 4), whole[some])
    assert np.array_equal(uniform(9, 4, some, 2), whole[some, :2])


def test_uniform_and_independent() -> None:
    values = uniform(11, 0, np.arange(50_000), 4)
    assert values.min() >= 0 and values.max() < 1
    for column in values.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    others = [uniform(12, 0, np.arange(50_000), 1), uniform(11, 1, np.arange(50_000), 1), np.roll(values[:, :1], 1, axis=0)]
    correlations = np.corrcoef(np.hstack([values, *others]), rowvar=False)
    # Six standard deviations of a correlation of independent numbers, 1 / sqrt(N).
    assert np.abs(correlations - np.eye(7)).max() < 6 / np.sqrt(50_000)


def test_epoch_and_index_are_not_interchangeable() -> None:
    assert len(np.unique([uniform(0, epoch, np.arange(100), 3) for epoch in range(100)])) == 30_000


def test_derive_seed_is_the_hash_of_the_parts() -> None:
    digest = hashlib.sha256(b"('order', 3, None, 0.5)").digest()
    assert derive_seed("order", np.int64(3), None, 0.5) == int.from_bytes(digest[:8], "little") // 2
    assert derive_seed("a", 1) != derive_seed("a1") != derive_seed("a", "1")
    assert 0 <= derive_seed("x") < 2**63
    with pytest.raises(TypeError):
        derive_seed(object())  # type: ignore[arg-type]
