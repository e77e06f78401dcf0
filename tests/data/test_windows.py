from __future__ import annotations

import math

import numpy as np
import pytest

from ltbench.data.windows import DRAWS, plain_size, random_window


def numbers(*first: float, place: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    filled = np.zeros(DRAWS)
    filled[:len(first)] = first
    filled[-2:] = place
    return filled


def test_window_by_hand() -> None:
    # Area .08 + .5 * .92 = .54 of 10,000; the middle of the logarithms is a square: its side is sqrt(5400) = 73.5.
    assert random_window(numbers(0.5, 0.5), 100, 100) == (0, 0, 73, 73)
    # 27 places are left on each axis, and one more than that to choose from.
    assert random_window(numbers(0.5, 0.5, place=(0.999, 0.5)), 100, 100) == (27, 14, 73, 73)
    # Shape 3:4, area .08 of 20,000: width sqrt(1600 * .75) = 34.6, height sqrt(1600 / .75) = 46.2.
    assert random_window(numbers(0.0, 0.0), 200, 100) == (0, 0, 35, 46)


def test_a_window_that_does_not_fit_is_drawn_again() -> None:
    # The whole area in another shape than the image's does not fit; the second attempt does.
    assert random_window(numbers(0.9999, 0.0, 0.0, 0.5), 100, 100) == (0, 0, 28, 28)


@pytest.mark.parametrize(("width", "height", "expected"), [
    (1000, 10, (493, 0, 13, 10)),  # 4:3 of the height, in the middle
    (10, 1000, (0, 493, 10, 13)),
])
def test_where_no_shape_fits_the_middle_is_taken(width: int, height: int, expected: tuple[int, ...]) -> None:
    assert random_window(np.full(DRAWS, 0.9999), width, height) == expected


def test_windows_keep_their_bounds_and_reach_them() -> None:
    uniforms = np.random.default_rng(0).random((3000, DRAWS))
    windows = np.array([random_window(row, 400, 300) for row in uniforms])
    left, top, width, height = windows.T
    assert (left >= 0).all() and (top >= 0).all() and (left + width <= 400).all() and (top + height <= 300).all()
    area, shape = width * height / 120_000, width / height
    assert 0.075 < area.min() < 0.1 and area.max() > 0.95
    assert 0.74 < shape.min() < 0.77 and 1.3 < shape.max() < 1.35
    # Shapes are even in the logarithm, but large windows fit in the image's own shape only.
    assert abs(np.log(shape[area < 0.3]).mean()) < 0.02


def test_plain_size_truncates_the_longer_side() -> None:
    assert plain_size(375, 500, 256) == (256, int(256 * 500 / 375)) == (256, 341)
    assert plain_size(500, 375, 256) == (341, 256)
    assert plain_size(64, 64, 64) == (64, 64)
    assert math.isclose(plain_size(3, 7, 300)[1], 700)
