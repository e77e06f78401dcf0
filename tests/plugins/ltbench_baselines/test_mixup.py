from __future__ import annotations

import pytest
import torch

from ltbench.data.batch import Batch
from ltbench_baselines.mixup import Mixup
from tests.support.known_context import context
from tests.support.stages import facts


def batch_of(labels: torch.Tensor, weight: float | torch.Tensor = 1.0) -> Batch:
    """Return images whose every pixel is their label, so that a mixed image tells what it was mixed of."""
    images = labels.float().reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()
    return Batch(images, labels, [(labels, weight)], torch.arange(len(labels)), labels, views=[images])


def test_images_and_targets_are_mixed_alike() -> None:
    labels = torch.arange(16)
    mixed = Mixup(facts([1] * 16)).mix(context([1, 1], 3), batch_of(labels))
    assert mixed.images is not None and len(mixed.targets) == 2
    (first, share), (second, rest) = mixed.targets
    assert share + rest == pytest.approx(1)
    assert 0.01 < share < 0.99
    assert torch.equal(first, labels) and torch.equal(second.sort().values, labels) and not torch.equal(second, labels)
    expected = share * first.float() + rest * second.float()  # pixel = its label
    torch.testing.assert_close(mixed.images, expected.reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4))
    assert torch.equal(mixed.labels, labels)


def test_targets_that_are_weighted_already_keep_their_weights() -> None:
    weights = torch.tensor([0.2, 0.4, 0.6, 0.8])
    mixed = Mixup(facts([1] * 4)).mix(context([1, 1], 0), batch_of(torch.arange(4), weights))
    total = torch.zeros(4)
    for labels, share in mixed.targets:
        total.index_add_(0, labels, torch.as_tensor(share))
    torch.testing.assert_close(total, weights)  # over the batch each label counts what it did: lambda + (1 - lambda)


def test_draws_depend_on_the_generator_alone() -> None:
    labels = torch.arange(8)
    method = Mixup(facts([1] * 8))
    one, torch_state = method.mix(context([1, 1], 5), batch_of(labels)), torch.get_rng_state()
    same, other = method.mix(context([1, 1], 5), batch_of(labels)), method.mix(context([1, 1], 6), batch_of(labels))
    assert one.images is not None and same.images is not None and other.images is not None
    assert torch.equal(one.images, same.images) and not torch.equal(one.images, other.images)
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_proportions_follow_the_beta_distribution(alpha: float) -> None:
    ctx, method, batch = context([1, 1], 1), Mixup(facts([1, 1]), alpha=alpha), batch_of(torch.arange(2))
    drawn = torch.tensor([float(method.mix(ctx, batch).targets[0][1]) for _ in range(1500)])
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.04)
    assert drawn.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)


def test_refuses_bad_values_and_features() -> None:
    for alpha in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"alpha must be > 0{' and finite' if alpha > 1 else ''}, got {alpha}"):
            Mixup(facts([1, 1]), alpha=alpha)
    labels = torch.arange(2)
    with pytest.raises(ValueError, match="needs images"):
        Mixup(facts([1, 1])).mix(context([1, 1], 0), Batch(None, labels, [(labels, 1.0)], labels, labels))
