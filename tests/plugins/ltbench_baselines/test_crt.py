from __future__ import annotations

import pytest
import torch
from torch import nn

from ltbench.errors import UserError
from ltbench.method.stack import Stack
from ltbench_baselines.crt import ClassifierRetraining
from ltbench_baselines.ldam import LDAM
from ltbench_baselines.maxnorm import MaxNorm
from ltbench_baselines.mixup import Mixup
from tests.support.stages import facts, later_stage, previous_stage, random_bank, train


def test_classifier_is_new_and_learns() -> None:
    bank = random_bank(3, 4)
    before = nn.Linear(4, 3)
    engine = later_stage(ClassifierRetraining(facts([8, 8, 8], 4)), bank, previous_stage(before, 4, 3))
    classifier = engine.head.classifier
    assert isinstance(classifier, nn.Linear) and not torch.equal(classifier.weight, before.weight)
    losses = train(engine, bank, 60)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_what_it_trains_on() -> None:
    known = facts([8, 8, 8], 4)
    plain, images, drifting = (ClassifierRetraining(known), ClassifierRetraining(known, inputs="images"),
                               ClassifierRetraining(known, batch_norm_drift=True))
    assert [(Stack([m], 2).inputs, Stack([m], 2).backbone) for m in (plain, images, drifting)] == [
        ("features", "frozen"), ("images", "frozen"), ("images", "drifting")]
    assert Stack([ClassifierRetraining(known), Mixup(known)], 2).inputs == "images"


def test_stands_with_a_classifier_but_not_with_an_old_one() -> None:
    known = facts([8, 8, 8], 4)
    Stack([ClassifierRetraining(known), LDAM(known)], 2)
    with pytest.raises(UserError, match="'build_head'"):
        Stack([ClassifierRetraining(known), MaxNorm(known)], 2)
