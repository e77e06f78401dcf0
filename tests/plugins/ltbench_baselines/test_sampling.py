from __future__ import annotations

import numpy as np
import pytest

from ltbench.data.samplers import ClassBalanced, Sampler
from ltbench_baselines.crt import ClassifierRetraining
from ltbench_baselines.drs import DeferredResampling
from ltbench_baselines.lws import LearnableWeightScaling
from ltbench_baselines.rs import ClassBalancedSampling
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.stages import at_progress, facts


@pytest.mark.parametrize("method", [ClassBalancedSampling, ClassifierRetraining, LearnableWeightScaling, PrototypeClassifier])
def test_classes_are_drawn_alike(method: type[ClassBalancedSampling]) -> None:
    sampler = method(facts([90, 9, 1])).streams(at_progress(0))["main"]
    assert isinstance(sampler, Sampler)
    labels = np.repeat([0, 1, 2], [90, 9, 1])
    drawn = np.bincount(labels[sampler.draw(labels, 6000, np.random.default_rng(0))])
    # 2000 each; four standard deviations of a binomial are 146
    assert (abs(drawn - 2000) < 146).all()


def test_deferred_resampling_starts_at_epoch_160_of_200() -> None:
    method = DeferredResampling(facts([9, 1]))
    assert method.streams(at_progress(0)) == {"main": "default"}
    assert method.streams(at_progress(159 / 200)) == {"main": "default"}
    assert method.streams(at_progress(160 / 200)) == {"main": ClassBalanced()}
    assert DeferredResampling(facts([9, 1]), start=0.0).streams(at_progress(0)) == {"main": ClassBalanced()}


def test_deferred_resampling_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match=r"start must be in \[0, 1\], got -0.1"):
        DeferredResampling(facts([9, 1]), start=-0.1)
