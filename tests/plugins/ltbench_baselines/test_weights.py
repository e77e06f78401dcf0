from __future__ import annotations

import pytest
import torch

from ltbench_baselines.cb import ClassBalancedWeights, effective_number_weights
from ltbench_baselines.drw import DeferredReweighting
from ltbench_baselines.rw import InverseFrequencyWeights
from tests.support.stages import at_progress, facts

LONG_TAIL = [500, 200, 80, 30, 5, 1]


def test_class_balanced_by_hand() -> None:
    # beta 1/2: 1 - beta^n = 1/2 and 3/4, so weights 2 and 4/3, which scale to 6/5 and 4/5
    weights = ClassBalancedWeights(facts([1, 2]), beta=0.5).class_weights(at_progress(0))
    torch.testing.assert_close(weights, torch.tensor([1.2, 0.8]))


def test_class_balanced_by_a_slow_loop() -> None:
    beta = 0.9999
    raw = [(1 - beta) / (1 - beta**n) for n in LONG_TAIL]
    expected = torch.tensor([6 * value / sum(raw) for value in raw])
    torch.testing.assert_close(ClassBalancedWeights(facts(LONG_TAIL)).weights, expected)


def test_class_balanced_lies_between_no_weights_and_inverse_frequency() -> None:
    counts = torch.tensor(LONG_TAIL)
    torch.testing.assert_close(effective_number_weights(counts, 0.0), torch.ones(6))
    torch.testing.assert_close(effective_number_weights(counts, 1 - 1e-10), InverseFrequencyWeights(facts(LONG_TAIL)).weights)


def test_inverse_frequency_by_hand() -> None:
    weights = InverseFrequencyWeights(facts([1, 3])).class_weights(at_progress(0))
    torch.testing.assert_close(weights, torch.tensor([1.5, 0.5]))


def test_a_class_without_images_weighs_as_one_with_one() -> None:
    for method in (ClassBalancedWeights, InverseFrequencyWeights):
        weights = method(facts([10, 1, 0])).weights
        assert weights.isfinite().all()
        assert weights[1] == weights[2]


def test_deferred_reweighting_starts_at_epoch_160_of_200() -> None:
    method = DeferredReweighting(facts([1, 2]), beta=0.5)
    assert method.class_weights(at_progress(0)) is None
    assert method.class_weights(at_progress(159 / 200)) is None
    torch.testing.assert_close(method.class_weights(at_progress(160 / 200)), torch.tensor([1.2, 0.8]))
    torch.testing.assert_close(method.class_weights(at_progress(199 / 200)), torch.tensor([1.2, 0.8]))


def test_deferred_reweighting_start_is_an_option() -> None:
    method = DeferredReweighting(facts([1, 2]), start=0.5)
    assert method.class_weights(at_progress(0.4)) is None
    assert method.class_weights(at_progress(0.5)) is not None


def test_refuse_bad_values() -> None:
    for method in (ClassBalancedWeights, DeferredReweighting):
        with pytest.raises(ValueError, match=r"beta must be in \[0, 1\), got 1"):
            method(facts([1, 2]), beta=1)
    with pytest.raises(ValueError, match=r"start must be in \[0, 1\], got 1.5"):
        DeferredReweighting(facts([1, 2]), start=1.5)
