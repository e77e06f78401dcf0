from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench.errors import UserError
from ltbench_baselines.ce import CrossEntropy
from ltbench_hyperspherical.max_separation import MaximumSeparation, SimplexClassifier
from tests.support.first_stages import batch_of, first_stage
from tests.support.stages import facts


def matrix(classes: int) -> Tensor:
    """Return P_k by the recursion that the paper prints, float64, shape (k, k + 1)."""
    k = classes - 1
    if k == 1:
        return torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    below = math.sqrt(1 - 1 / k**2) * matrix(classes - 1)
    first = torch.cat([torch.ones(1, dtype=torch.float64), torch.full((k,), -1 / k, dtype=torch.float64)])
    return torch.cat([first[None], torch.cat([torch.zeros(k - 1, 1, dtype=torch.float64), below], dim=1)])


def test_three_classes_by_hand() -> None:
    # Columns (1, 0), (-1/2, sqrt(3)/2) and (-1/2, -sqrt(3)/2), times a tenth.
    logits = SimplexClassifier(2, 3, 0.1)(torch.tensor([[2.0, 0.0], [2.0, 4.0]]))
    torch.testing.assert_close(logits, 0.1 * torch.tensor([[2, -1, -1], [2, -1 + 2 * math.sqrt(3), -1 - 2 * math.sqrt(3)]]))


@pytest.mark.parametrize("classes", [2, 5, 100])
def test_running_sums_are_the_recursive_matrix(classes: int) -> None:
    outputs = torch.randn(7, classes - 1)
    expected = (outputs.double() @ matrix(classes)).float()
    torch.testing.assert_close(SimplexClassifier(classes - 1, classes, 1.0)(outputs), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_class_vectors_are_as_far_apart_as_can_be(classes: int) -> None:
    # Of length 1, every cosine is -1 / (C - 1), and they sum to 0.
    vectors = SimplexClassifier(classes - 1, classes, 1.0)(torch.eye(classes - 1, dtype=torch.float64))  # (C - 1, C)
    cosines = vectors.T @ vectors
    expected = torch.full((classes, classes), -1 / (classes - 1), dtype=torch.float64).fill_diagonal_(1)
    torch.testing.assert_close(cosines, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.sum(dim=1), torch.zeros(classes - 1, dtype=torch.float64), atol=1e-4, rtol=0)


def test_the_network_has_one_output_less_than_classes_and_the_matrix_is_fixed() -> None:
    engine = first_stage([MaximumSeparation(facts([5, 3, 2], 16))])
    output = engine.head(torch.randn(4, 16))
    assert output.features.shape == (4, 2) and output.logits.shape == (4, 3)
    assert {name for name, _ in engine.head.named_parameters()} == {"projection.weight", "projection.bias"}
    with pytest.raises(UserError, match="max_separation needs 2 outputs for 3 classes, got 16"):
        MaximumSeparation(facts([5, 3, 2])).make_classifier(16, 3)
    with pytest.raises(ValueError, match="radius must be > 0, got 0"):
        MaximumSeparation(facts([5, 3, 2]), radius=0)


def test_loss_by_hand() -> None:
    # The output that is a vertex itself, rho = 1: logits 1, -1/2 and -1/2, so log(1 + 2 exp(-3/2)).
    logits = SimplexClassifier(2, 3, 1.0)(torch.tensor([[1.0, 0.0]]))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0]))
    assert float(loss) == pytest.approx(math.log(1 + 2 * math.exp(-1.5)), rel=1e-6)


@pytest.mark.parametrize("radius", [0.1, 1.0])
def test_a_step_is_the_softmax_of_products_with_the_recursive_matrix(radius: float) -> None:
    engine = first_stage([CrossEntropy(facts([5, 3, 2], 16)), MaximumSeparation(facts([5, 3, 2], 16), radius=radius)])
    images, labels = torch.randn(6, 1, 32, 32), torch.tensor([0, 0, 1, 2, 1, 0])
    outputs = engine.head(engine.backbone(images)).features.detach().double()
    total = 0.0
    for output, label in zip(outputs, labels.tolist(), strict=True):
        logits = [radius * float(output @ column) for column in matrix(3).T]
        total += math.log(sum(math.exp(value) for value in logits)) - logits[label]
    assert float(engine.ctx.default_step(batch_of(images, labels)).loss) == pytest.approx(total / 6, rel=1e-5)


def test_half_precision_loses_nothing_more() -> None:
    outputs = torch.randn(3, 99).bfloat16()
    classifier = SimplexClassifier(99, 100, 0.1)
    assert torch.equal(classifier(outputs), classifier(outputs.float()))
