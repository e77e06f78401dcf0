"""Theorem 1 of Sharma et al. (2023), with eq. 1's factor 1/2, which its proof drops, with adjustment and with temperatures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench.method.heads import DistanceClassifier
from ltbench_prototype.prototype import Distance, PrototypeClassifier
from tests.support.stages import facts, later_stage, random_bank

COUNTS = [500, 100, 20, 5, 1]


def gradient_and_probability(x: Tensor, label: int, tau: float, temperatures: Tensor | None = None,
                             distance: Distance = "euclidean") -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient on the prototypes (C, D), the prototypes, and the probability of each class in training."""
    method = PrototypeClassifier(facts(COUNTS, 6), tau=tau, distance=distance)
    engine = later_stage(method, random_bank(5, 6))
    classifier = engine.head.classifier
    assert isinstance(classifier, DistanceClassifier) and classifier.log_temperatures is not None
    if temperatures is not None:
        classifier.log_temperatures.data = temperatures.log()
    logits = engine.output(x).logits
    (gradient,) = torch.autograd.grad(method.criterion(logits, torch.tensor([label])).sum(), classifier.prototypes)
    prior = torch.tensor(COUNTS, dtype=torch.float64).log() * tau
    return gradient, classifier.prototypes.detach(), (logits.double() + prior).softmax(dim=1)[0].detach().float()


@pytest.mark.parametrize("tau", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("far", [0.1, 1.0, 100.0])
def test_the_gradient_has_the_length_of_half_the_misclassification_however_far_the_sample(far: float, tau: float) -> None:
    x, label = far * torch.randn(1, 6), 2
    gradient, prototypes, p = gradient_and_probability(x, label, tau)
    length = p / 2
    length[label] = (1 - p[label]) / 2
    torch.testing.assert_close(gradient.norm(dim=1), length, atol=1e-6, rtol=1e-4)
    toward = (prototypes - x) / (prototypes - x).norm(dim=1, keepdim=True)  # descent draws the right prototype to the sample
    toward[torch.arange(5) != label] *= -1  # and pushes the others away
    torch.testing.assert_close(gradient, toward * length[:, None], atol=1e-6, rtol=1e-3)


def test_by_hand() -> None:
    # Prototypes (0, 0) and (6, 8), a sample at (3, 4) of class 0, of 16 and of 1 images with tau 1/4: both distances are 5, the
    # adjusted logits log 2 - 2.5 and -2.5, so p = (2/3, 1/3): lengths 1/6 and 1/6 along (3, 4) / 5.
    method = PrototypeClassifier(facts([16, 1]), tau=0.25)
    classifier = DistanceClassifier(2, 2)
    classifier.prototypes.data = torch.tensor([[0.0, 0.0], [6.0, 8.0]])
    method.criterion(classifier(torch.tensor([[3.0, 4.0]])), torch.tensor([0])).sum().backward()
    torch.testing.assert_close(classifier.prototypes.grad, torch.tensor([[-0.1, -0.4 / 3], [-0.1, -0.4 / 3]]))


def test_an_outlier_pulls_harder_under_the_squared_distance_only() -> None:
    near = torch.randn(1, 6)
    for distance, grows in (("euclidean", False), ("squared", True)):
        lengths = [float(gradient_and_probability(near * far, 2, 0.0, None, distance)[0].norm(dim=1).max()) for far in (10, 1000)]  # type: ignore[arg-type]
        assert (lengths[1] > 50 * lengths[0]) == grows
        assert grows or lengths[1] <= 0.5 + 1e-6


@pytest.mark.parametrize("tau", [0.0, 0.25])
def test_temperatures_change_the_constant_within_their_bounds(tau: float) -> None:
    # |T^-1 (x - c)| / |T^-1/2 (x - c)| takes the place of 1: between the roots of the smallest and of the largest 1/T.
    temperatures = torch.tensor([0.25, 4.0, 1.0, 0.5, 2.0, 1.0])
    x, label = 3 * torch.randn(1, 6), 1
    gradient, prototypes, p = gradient_and_probability(x, label, tau, temperatures)
    away = x - prototypes
    factor = (away / temperatures).norm(dim=1) / (away / temperatures.sqrt()).norm(dim=1)
    miss = p.clone()
    miss[label] = 1 - p[label]
    torch.testing.assert_close(gradient.norm(dim=1), factor * miss / 2, atol=1e-6, rtol=1e-4)
    assert (factor >= 0.5 - 1e-6).all() and (factor <= 2.0 + 1e-6).all()
    assert (factor - 1).abs().max() > 0.05
    direction = away / temperatures  # along T^-1 (x - c), no longer along the line to the sample
    cosine = torch.cosine_similarity(gradient, direction, dim=1)
    expected = torch.ones(5)
    expected[label] = -1
    torch.testing.assert_close(cosine, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine"])
def test_at_distance_zero_the_gradient_is_finite(distance: Distance) -> None:
    _, prototypes, _ = gradient_and_probability(torch.randn(1, 6), 0, 0.25, None, distance)
    method = PrototypeClassifier(facts(COUNTS, 6), distance=distance)
    classifier = later_stage(method, random_bank(5, 6)).head.classifier
    assert isinstance(classifier, DistanceClassifier)
    x = classifier.prototypes.detach()[[0, 3]].clone().requires_grad_(True)  # two samples, each on a prototype
    method.criterion(classifier(x), torch.tensor([0, 1])).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    for parameter in classifier.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
    if distance == "euclidean":  # its own prototype is not moved, by what has no direction
        alone = DistanceClassifier(6, 5)
        method.criterion(alone(alone.prototypes.detach()[:1]), torch.tensor([0])).sum().backward()
        assert alone.prototypes.grad is not None and float(alone.prototypes.grad[0].norm()) == 0
        assert math.isfinite(float(alone.prototypes.grad.norm())) and float(alone.prototypes.grad[1:].norm()) > 0
