from __future__ import annotations

import pytest
import torch
from torch import nn

from ltbench.errors import UserError
from ltbench.method.heads import CosineClassifier
from ltbench.method.reused_classifier import ReusedClassifier
from ltbench_baselines.lws import LearnableWeightScaling
from ltbench_baselines.maxnorm import MaxNorm
from ltbench_baselines.tau_norm import TauNormalization
from ltbench_hyperspherical.psc import CosineSoftmax
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train

METHODS = [LearnableWeightScaling, MaxNorm, TauNormalization]


@pytest.mark.parametrize("method", METHODS)
def test_a_classifier_that_is_not_linear_is_refused(method: type[ReusedClassifier]) -> None:
    with pytest.raises(UserError, match=f"the classifier before '{method.name}' must be linear, got CosineClassifier"):
        later_stage(method(facts([8, 8], 4)), random_bank(2, 4), previous_stage(CosineClassifier(4, 2), 4, 2))
    with pytest.raises(UserError, match="must be linear, got CosineSoftmax"):  # whose weights' norms never counted
        later_stage(method(facts([8, 8], 4)), random_bank(2, 4), previous_stage(CosineSoftmax(4, 2, 1.0), 4, 2))
    with pytest.raises(UserError, match="must be linear, got NoneType"):
        later_stage(method(facts([8, 8], 4)), random_bank(2, 4))


@pytest.mark.parametrize("method", METHODS)
def test_a_projection_comes_along_and_stays(method: type[ReusedClassifier]) -> None:
    bank = random_bank(3, 4)
    projection = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())
    before = previous_stage(nn.Linear(6, 3), 4, 3, projection)
    engine = later_stage(method(facts([8, 8, 8], 4)), bank, before)
    expected = before.output(bank.embedding).features
    if engine.stack.trains:
        train(engine, bank, 5)
    torch.testing.assert_close(engine.eval().output(bank.embedding).features, expected)


@pytest.mark.parametrize("method", METHODS)
def test_the_earlier_stage_is_left_as_it_was(method: type[ReusedClassifier]) -> None:
    bank = random_bank(3, 4)
    before = previous_stage(nn.Linear(4, 3), 4, 3)
    logits = before.output(bank.embedding).logits
    engine = later_stage(method(facts([8, 8, 8], 4)), bank, before)
    if engine.stack.trains:
        train(engine, bank, 5)
    assert torch.equal(before.output(bank.embedding).logits, logits)
    assert not any(p.requires_grad for p in before.parameters())
