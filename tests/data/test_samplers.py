from __future__ import annotations

import numpy as np
import pytest

from ltbench.data.samplers import ClassAware, ClassBalanced, ClassReversed, InstanceBalanced, OfClasses, Sampler, SquareRoot

COUNTS = np.array([64, 16, 4, 1])
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
DRAWS = 40_000


def shares(sampler: Sampler) -> np.ndarray:
    positions = sampler.draw(LABELS, DRAWS, np.random.default_rng(1))
    return np.bincount(LABELS[positions], minlength=4) / DRAWS


# Worked out by hand from n = 64, 16, 4, 1.
@pytest.mark.parametrize(("sampler", "expected"), [
    (ClassBalanced(), [1 / 4] * 4),
    (ClassAware(gamma=0.0), [1 / 4] * 4),
    (ClassReversed(), [1 / 85, 4 / 85, 16 / 85, 64 / 85]),
    (ClassAware(gamma=1.0), [1 / 85, 4 / 85, 16 / 85, 64 / 85]),
    (ClassAware(gamma=0.5), [1 / 15, 2 / 15, 4 / 15, 8 / 15]),
    (SquareRoot(), [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
    (ClassAware(gamma=-0.5), [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
    (InstanceBalanced(), [64 / 85, 16 / 85, 4 / 85, 1 / 85]),
    (OfClasses((1, 2)), [0, 16 / 20, 4 / 20, 0]),
    (OfClasses((0, 3, 9), ClassBalanced()), [1 / 2, 0, 0, 1 / 2]),
])
def test_class_shares(sampler: Sampler, expected: list[float]) -> None:
    # Five standard deviations of a share: sqrt(p (1 - p) / draws).
    p = np.array(expected)
    assert (np.abs(shares(sampler) - p) <= 5 * np.sqrt(p * (1 - p) / DRAWS)).all()


def test_instance_balanced_goes_through_all_before_any_comes_again() -> None:
    drawn = InstanceBalanced().draw(LABELS, 200, np.random.default_rng(0))
    assert drawn.dtype == np.int64 and len(drawn) == 200
    assert sorted(drawn[:85]) == sorted(drawn[85:170]) == list(range(85))
    assert drawn[:85].tolist() != drawn[85:170].tolist()
    assert len(set(drawn[170:].tolist())) == 30


@pytest.mark.parametrize("sampler", [ClassBalanced(), ClassReversed(), ClassAware(gamma=0.3), SquareRoot()])
def test_within_a_class_none_repeats_before_all_were_seen(sampler: Sampler) -> None:
    drawn = sampler.draw(LABELS, 997, np.random.default_rng(2))
    for k, count in enumerate(COUNTS):
        of_class = drawn[LABELS[drawn] == k]
        for start in range(0, len(of_class), count):
            part = of_class[start:start + count]
            assert len(set(part.tolist())) == len(part)


def test_rounds_are_shuffled_anew() -> None:
    drawn = ClassBalanced().draw(LABELS, 4000, np.random.default_rng(3))
    of_class = drawn[LABELS[drawn] == 1]
    rounds = {tuple(of_class[start:start + 16]) for start in range(0, len(of_class) - 15, 16)}
    assert len(rounds) == len(of_class) // 16 > 50


def test_every_image_of_a_class_is_drawn_first_equally_often() -> None:
    labels = np.zeros(4, np.int64)
    first = [ClassBalanced().draw(labels, 1, np.random.default_rng(seed))[0] for seed in range(2000)]
    # 500 expected, standard deviation sqrt(2000 * 1/4 * 3/4) = 19.4.
    assert np.abs(np.bincount(first, minlength=4) - 500).max() < 97


@pytest.mark.parametrize("sampler", [InstanceBalanced(), ClassBalanced(), ClassReversed(), ClassAware(gamma=2.0), SquareRoot()])
def test_edges(sampler: Sampler) -> None:
    labels = np.array([7, 3, 7])  # classes without images are not drawn
    again = [sampler.draw(labels, 50, np.random.default_rng(4)).tolist() for _ in range(2)]
    assert again[0] == again[1]
    assert set(again[0]) == {0, 1, 2}
    assert sampler.draw(labels, 0, np.random.default_rng(0)).shape == (0,)
    with pytest.raises(ValueError, match="num_draws must be >= 0, got -1"):
        sampler.draw(labels, -1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one image, got none"):
        sampler.draw(np.zeros(0, np.int64), 1, np.random.default_rng(0))


def test_large_gamma_does_not_overflow() -> None:
    labels = np.repeat([0, 1], [1000, 1])
    assert set(ClassAware(gamma=500.0).draw(labels, 20, np.random.default_rng(0)).tolist()) == {1000}
    assert labels[ClassAware(gamma=-500.0).draw(labels, 20, np.random.default_rng(0))].tolist() == [0] * 20


def test_descriptions() -> None:
    assert ClassAware(gamma=0.25).describe() == {"sampler": "class_aware", "gamma": 0.25}
    names = [sampler.describe() for sampler in (InstanceBalanced(), ClassBalanced(), ClassReversed(), SquareRoot())]
    assert names == [{"sampler": name} for name in ("instance_balanced", "class_balanced", "class_reversed", "square_root")]
    with pytest.raises(ValueError, match="gamma must be a finite number, got nan"):
        ClassAware(gamma=float("nan"))


def test_some_classes_are_told_and_must_have_an_image() -> None:
    assert OfClasses((1, 2), SquareRoot()).describe() == {"sampler": "of_classes", "classes": [1, 2],
                                                          "of": {"sampler": "square_root"}}
    with pytest.raises(ValueError, match="labels must hold at least one image, got none"):
        OfClasses((9,)).draw(LABELS, 1, np.random.default_rng(0))
