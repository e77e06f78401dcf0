from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ltbench.method.context import Bank
from ltbench.method.contract import Method
from ltbench_ncm.class_blocks import in_class_blocks, local_distance
from ltbench_ncm.lncm import LearnedNCM
from ltbench_ncm.lncm_global import GlobalMetricClassifier, GlobalMetricNCM
from ltbench_ncm.lncm_local import LocalMetricClassifier, LocalMetricNCM
from ltbench_ncm.ranked import principal_axes
from tests.support.stages import facts, later_stage, random_bank, train

BOTH = (GlobalMetricNCM, LocalMetricNCM)


def slow_local(x: Tensor, c: Tensor, w: Tensor) -> Tensor:
    """Return sqrt((x - c)^T W^T W (x - c)), one pair after the other."""
    return torch.stack([torch.stack([((a - b) @ m.T @ m @ (a - b)).sqrt() for b, m in zip(c, w, strict=True)]) for a in x])


def test_distances_by_hand() -> None:
    x, c = torch.tensor([[3.0, 4.0]]), torch.zeros(2, 2)
    shared = GlobalMetricClassifier(2, 2, 2)
    shared.metric.data = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(shared(x), torch.tensor([[-3.0, -3.0]]))  # |(6, 0)| / 2
    own = LocalMetricClassifier(2, 2, 2)
    own.metric.data[1] = torch.tensor([[0.0, 3.0], [0.0, 0.0]])
    torch.testing.assert_close(own(x), torch.tensor([[-2.5, -6.0]]))  # |(3, 4)| / 2 and |(12, 0)| / 2
    torch.testing.assert_close(local_distance(x, c, own.metric), torch.tensor([[5.0, 12.0]]))


def test_equal_a_slow_form_with_gradients() -> None:
    x, c, w = (torch.randn(*shape, dtype=torch.float64) for shape in ((6, 4), (5, 4), (5, 3, 4)))
    weight = torch.randn(6, 5, dtype=torch.float64)
    given = [t.clone().requires_grad_() for t in (x, c, w)]
    expected = torch.autograd.grad((slow_local(*given) * weight).sum(), given)
    for elements in (1, 6 * 3 * 2, 1 << 24):  # a class at a time, two, all
        found = in_class_blocks(local_distance, given[0], (given[1], given[2]), 3, elements)
        torch.testing.assert_close(found, slow_local(x, c, w))
        for ours, theirs in zip(torch.autograd.grad((found * weight).sum(), given), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_global_metric_is_a_local_one_that_all_share() -> None:
    shared, own = GlobalMetricClassifier(4, 3, 2), LocalMetricClassifier(4, 3, 2)
    shared.prototypes.data, shared.metric.data = torch.randn(3, 4), torch.randn(2, 4)
    own.prototypes.data, own.metric.data = shared.prototypes.data, shared.metric.data.expand(3, 2, 4)
    x = torch.randn(5, 4)
    torch.testing.assert_close(shared(x), own(x))


def test_distance_zero_has_gradient_zero() -> None:
    w = torch.eye(2).expand(1, 2, 2).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(local_distance(torch.ones(1, 2), torch.ones(1, 2), w).sum(), w)
    assert not gradient.any()


@pytest.mark.parametrize("method", BOTH)
def test_at_its_start_it_is_the_learned_ncm(method: Any, digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    bank = Bank(images.flatten(1), labels)
    known = facts(torch.bincount(labels).tolist(), 64)
    torch.testing.assert_close(later_stage(method(known), bank).predict(bank.embedding),
                               later_stage(LearnedNCM(known), bank).predict(bank.embedding), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", BOTH)
def test_centroids_and_metric_are_learned_and_clipped_together(method: Any, digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    bank = Bank(4 * images.flatten(1), labels)
    engine = later_stage(method(facts(torch.bincount(labels).tolist(), 64), lr=0.05), bank)
    before = {name: p.detach().clone() for name, p in engine.head.named_parameters()}
    (group,) = engine.stack.methods[0].parameter_groups(engine.ctx)
    assert len(list(group.parameters)) == 2 and (group.clip_norm, group.weight_decay) == (0.1, 0.0)
    losses = train(engine, bank, 20, batch_size=64)
    assert losses[-1] < losses[0]
    assert all(not torch.equal(p, before[name]) for name, p in engine.head.named_parameters())


@pytest.mark.parametrize("method", BOTH)
def test_low_rank_starts_at_the_principal_axes(method: Any) -> None:
    bank = random_bank(4, 6)
    engine = later_stage(method(facts([8] * 4, 6), rank=2), bank)
    axes = torch.linalg.svd(bank.embedding - bank.embedding.mean(dim=0))[2][:2]
    means = torch.stack([bank.embedding[bank.labels == k].mean(dim=0) for k in range(4)])
    expected = -0.5 * torch.cdist(bank.embedding @ axes.T, means @ axes.T)
    torch.testing.assert_close(engine.predict(bank.embedding), expected, atol=1e-4, rtol=1e-4)
    assert later_stage(method(facts([8] * 4, 6), rank=99), bank).predict(bank.embedding).shape == (32, 4)


def test_principal_axes_by_hand() -> None:
    points = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) + 7
    torch.testing.assert_close(principal_axes(points, torch.zeros(len(points), dtype=torch.int64), 2).abs(), torch.eye(2))


@pytest.mark.parametrize("method", BOTH)
def test_awkward_data(method: type[Method]) -> None:
    bank = Bank(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
    engine = later_stage(method(facts([1, 1, 0])), bank)
    assert all(math.isfinite(loss) for loss in train(engine, bank, 3, batch_size=2))
    assert engine.predict(bank.embedding).isfinite().all()


@pytest.mark.parametrize("method", BOTH)
def test_refuses(method: Any) -> None:
    with pytest.raises(ValueError, match="rank must be >= 1 or none, got 0"):
        method(facts([1, 1]), rank=0)
