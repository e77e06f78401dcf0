"""Boards whose truth is known: methods that are equally good, by a draw of seeds and images."""

from __future__ import annotations

import numpy as np

from ltbench.leaderboard.outcomes import Outcomes

IMAGES = 40
CLASS_COUNTS = np.array([200] * 3 + [50] * 4 + [5] * 3)  # three many, four medium, three few


def simulated(rng: np.random.Generator, *, methods: int, runs: int, of_seed: float = 0.0, of_image: float = 0.0) -> Outcomes:
    """Toss every image of ten classes: right with probability one half, plus what its run and its image give a method.

    Args:
        methods: M.
        runs: S.
        of_seed: Standard deviation of a method's probability over runs.
        of_image: Over images, the same in all runs; a part that all methods share (.15) comes on top.
    """
    labels = np.repeat(np.arange(len(CLASS_COUNTS)), IMAGES)
    probability = 0.5 + of_seed * rng.standard_normal((methods, runs, 1))
    probability = probability + of_image * rng.standard_normal((methods, 1, len(labels)))
    probability += 0.15 * rng.standard_normal(len(labels))
    right = rng.random((methods, runs, len(labels))) < probability  # beyond 0 and 1 it is sure
    return Outcomes(tuple((0, seed) for seed in range(runs)), right, labels, CLASS_COUNTS)
