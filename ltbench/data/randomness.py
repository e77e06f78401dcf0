"""Counter-based random numbers: a value depends on what it is for, never on what was drawn before it.

A generator with a state ties an image's augmentation to its place in the epoch, to the batch size and to the number of
processes. Here every number is a hash of (key, epoch, index, draw), by the finalizer of splitmix64 (Steele, Lea & Flood, 2014,
figure 15), in integers: the same on every machine.
"""

from __future__ import annotations

import hashlib
import operator
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from ltbench.data.arrays import Floats

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = (np.uint64(shift) for shift in (27, 30, 31, 11))
_MASK = 2**64 - 1


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> _S30)) * _MIX1
    state = (state ^ (state >> _S27)) * _MIX2
    return state ^ (state >> _S31)


def _absorb(state: npt.NDArray[np.uint64], word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # Mixing between the words keeps (epoch 1, index 2) apart from (epoch 2, index 1).
    return _mix((state ^ word) + _GOLDEN)


def uniform(key: int, epoch: int, indices: npt.ArrayLike, draws: int) -> Floats:
    """Return numbers in [0, 1), each a function of its key, epoch, index and draw alone.

    Args:
        key: What the numbers are for; see :func:`derive_seed`.
        indices: Of the images, integers, shape (N,).

    Returns:
        float64, shape (N, draws), multiples of 2**-53.
    """
    state = _absorb(np.zeros(1, np.uint64), np.array([key & _MASK], np.uint64))
    state = _absorb(state, np.array([epoch & _MASK], np.uint64))
    state = _absorb(state, np.asarray(indices, dtype=np.int64).view(np.uint64))  # (N,)
    state = _absorb(state[:, None], np.arange(draws, dtype=np.uint64))  # (N, draws)
    return (state >> _S11).astype(np.float64) * 2.0**-53


def derive_seed(*parts: SupportsIndex | str | float | None) -> int:
    """Return a 63-bit seed for what the parts name: other parts, another seed.

    Args:
        parts: Integers of any kind (a numpy one counts as the plain one), texts, floats or None.
    """
    plain = tuple(part if part is None or isinstance(part, (str, float)) else operator.index(part) for part in parts)
    return int.from_bytes(hashlib.sha256(repr(plain).encode()).digest()[:8], "little") >> 1
