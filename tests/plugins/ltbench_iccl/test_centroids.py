from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ltbench_iccl.centroids import class_sums, retrieval_losses, shares_found, updated_centroids


def test_retrieval_by_hand() -> None:
    # Similarities 1 and 0, divided by 1/2: the right centroid costs log(1 + e^-2), the other one 2 more.
    centroids, projection = torch.eye(2), torch.tensor([[1.0, 0.0]])
    losses = [float(retrieval_losses(projection, centroids, torch.tensor([k]), 0.5)) for k in (0, 1)]
    assert losses == pytest.approx([math.log1p(math.exp(-2)), 2 + math.log1p(math.exp(-2))])


def test_retrieval_against_loops() -> None:
    projections, centroids = F.normalize(torch.randn(6, 4), dim=1), F.normalize(torch.randn(5, 4), dim=1)
    labels = torch.tensor([0, 4, 4, 2, 1, 3])
    for i, loss in enumerate(retrieval_losses(projections, centroids, labels, 0.07).tolist()):
        powers = [math.exp(float(projections[i] @ c) / 0.07) for c in centroids]
        assert loss == pytest.approx(-math.log(powers[labels[i]] / sum(powers)), rel=1e-4)


def test_the_numerator_pulls_and_the_denominator_pushes() -> None:
    """A step down the loss is towards the own centroid and away from the others (section 3.3)."""
    projection, centroids = torch.tensor([[0.6, 0.8, 0.0]], requires_grad=True), torch.eye(3)
    retrieval_losses(projection, centroids, torch.tensor([0]), 0.3).sum().backward()  # type: ignore[no-untyped-call]
    assert projection.grad is not None
    step = -projection.grad[0]
    assert float(step[0]) > 0 and float(step[1]) < 0 and float(step[2]) < 0


def test_update_by_hand() -> None:
    centroids = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 0.0]])
    projections = torch.tensor([[0.0, 1.0], [0.8, 0.6], [0.0, -1.0]])
    new = updated_centroids(centroids, projections, torch.tensor([0, 2, 2]), 0.5)
    # Class 0: (1/2, 1/2) at length 1. Class 1 is absent. Class 2 was never seen: the direction of (0.8, -0.4).
    expected = torch.tensor([[math.sqrt(0.5), math.sqrt(0.5)], [0.0, -1.0], [2 / math.sqrt(5), -1 / math.sqrt(5)]])
    torch.testing.assert_close(new, expected)


def _slowly(centroids: Tensor, projections: Tensor, labels: Tensor, momentum: float) -> Tensor:
    rows = []
    for k, old in enumerate(centroids.tolist()):
        own = [z for z, y in zip(projections.tolist(), labels.tolist(), strict=True) if y == k]
        if own:
            moved = [momentum * old[j] + (1 - momentum) * sum(z[j] for z in own) for j in range(len(old))]
            old = [value / math.hypot(*moved) for value in moved]
        rows.append(old)
    return torch.tensor(rows)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99])
def test_update_against_loops(momentum: float) -> None:
    centroids = F.normalize(torch.randn(6, 3), dim=1)
    for _ in range(3):
        projections, labels = F.normalize(torch.randn(9, 3), dim=1), torch.randint(5, (9,))  # class 5 never comes
        expected = _slowly(centroids, projections, labels, momentum)
        centroids = updated_centroids(centroids, projections, labels, momentum)
        torch.testing.assert_close(centroids, expected)


def test_absent_classes_do_not_decay() -> None:
    before = F.normalize(torch.randn(4, 3), dim=1)
    after = before
    for _ in range(500):  # at momentum .99 a literal eq. 1 would leave less than a hundredth
        after = updated_centroids(after, F.normalize(torch.randn(8, 3), dim=1), torch.zeros(8, dtype=torch.int64), 0.99)
    assert torch.equal(after[1:], before[1:])
    assert not torch.equal(after[0], before[0])


def test_lengths_are_one_whatever_the_class_sizes() -> None:
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    centroids = torch.zeros(3, 8)
    for _ in range(20):
        centroids = updated_centroids(centroids, F.normalize(torch.randn(100, 8), dim=1), labels, 0.99)
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(3))


class _Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remember the size of the largest tensor that an operation returns."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            self.elements = max(self.elements, tensor.numel() if isinstance(tensor, Tensor) else 0)
        return result


def test_class_means_that_find_their_centroid() -> None:
    centroids, counts = torch.eye(2), torch.tensor([200, 5])
    means, sizes = torch.tensor([[0.8, 0.6], [0.6, 0.8]]), torch.ones(2)
    assert shares_found(means, sizes, centroids, counts) == {"centroids_many": 100, "centroids_few": 100}
    assert shares_found(means.flip(0), sizes, centroids, counts) == {"centroids_many": 0, "centroids_few": 0}
    # Half of the large classes; a class without projections, or whose centroid was never placed, does not count, nor is it found.
    centroids = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [-1.0, 0.0]])
    means = torch.tensor([[3.0, 4.0], [6.0, 8.0], [-0.1, -0.2], [0.0, 0.0]])
    sizes, counts = torch.tensor([1.0, 1, 1, 0]), torch.tensor([200, 300, 5, 50])
    assert shares_found(means, sizes, centroids, counts) == {"centroids_many": 50}


def test_sums_of_classes() -> None:
    sums, sizes = class_sums(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([2, 0, 2]), 3)
    assert sums.tolist() == [[3, 4], [0, 0], [6, 8]] and sizes.tolist() == [1, 0, 2]


@pytest.mark.parametrize(("images", "left"), [(5, 0.4475), (20, 0.0401), (100, 1.04e-7)])
def test_what_is_left_of_the_first_placement_as_the_card_says(images: int, left: float) -> None:
    assert 0.99 ** (16 * images) == pytest.approx(left, rel=0.01)


def test_nothing_is_larger_than_the_similarities() -> None:
    """8,142 classes, a batch of 512 and 128 dimensions are 4 million similarities, and would be 533 million B C d."""
    classes, batch, width = 800, 50, 16  # the largest of (C, d), (B, d) and (B, C) is the last, too
    centroids = F.normalize(torch.randn(classes, width), dim=1)
    projections, labels = F.normalize(torch.randn(batch, width), dim=1).requires_grad_(), torch.randint(classes, (batch,))
    with _Largest() as largest:  # type: ignore[no-untyped-call]
        updated_centroids(centroids, projections.detach(), labels, 0.99)
        retrieval_losses(projections, centroids, labels, 0.07).sum().backward()  # type: ignore[no-untyped-call]
    assert largest.elements == batch * classes
