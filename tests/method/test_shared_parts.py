"""What methods find ready: logarithms of class sizes, the classifier of their kind, centroids, the splits of classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import ltbench
from ltbench_baselines.crt import ClassifierRetraining
from tests.support.stages import facts, later_stage, random_bank


def test_logarithms_by_hand() -> None:
    known = facts([3, 1, 0])  # the empty class counts as one with one image
    assert known.log_counts.tolist() == pytest.approx([math.log(3), 0, 0])
    assert known.log_prior.tolist() == pytest.approx([math.log(3 / 5), math.log(1 / 5), math.log(1 / 5)])
    assert known.log_counts.dtype == known.log_prior.dtype == torch.float64


def test_the_classifier_is_of_the_kind_that_is_asked_for() -> None:
    engine = later_stage(ClassifierRetraining(facts([8, 8], 3)), random_bank(2, 3))
    assert engine.ctx.classifier(nn.Linear) is engine.head.classifier
    with pytest.raises(TypeError, match="the classifier must be of class CosineClassifier, got Linear"):
        engine.ctx.classifier(ltbench.CosineClassifier)


def test_a_class_without_images_has_its_centroid_in_the_middle() -> None:
    features, labels = torch.tensor([[2.0, 0.0], [4.0, 0.0], [1.0, 2.0]]), torch.tensor([0, 0, 2])
    assert ltbench.class_centroids(features, labels, 3).tolist() == [[3, 0], [2, 1], [1, 2]]


def test_splits_at_their_borders() -> None:
    found = ltbench.shot_splits(torch.tensor([101, 100, 20, 19, 1, 0]))
    assert {name: where.nonzero()[:, 0].tolist() for name, where in found.items()} == {
        "many": [0], "medium": [1, 2], "few": [3, 4]}
