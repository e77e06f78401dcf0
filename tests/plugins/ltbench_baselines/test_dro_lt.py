from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassBalanced
from ltbench.method.context import Bank, Context
from ltbench.method.values import Output, Seen, Step
from ltbench.testing import MethodConformance
from ltbench_baselines.dro_lt import DistributionalRobustness, robustness_loss
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import at_progress, facts


def slow_loss(embedding: Tensor, labels: Tensor, centroids: Tensor, radius: Tensor, temperature: float) -> float:
    """Return the loss in loops over classes and samples."""
    by_class = []
    for c in sorted(set(labels.tolist())):
        scores = []
        for z, label in zip(embedding, labels.tolist(), strict=True):
            margin = 2 * float(radius[c]) if label == c else 0.0
            scores.append(-(math.dist(z.tolist(), centroids[c].tolist()) + margin) / temperature)
        total = math.log(sum(math.exp(s) for s in scores))
        own = [total - s for s, label in zip(scores, labels.tolist(), strict=True) if label == c]
        by_class.append(sum(own) / len(own))
    return sum(by_class) / len(by_class)


def test_by_hand() -> None:
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    loss = robustness_loss(points, torch.tensor([0, 1]), points, torch.tensor([0.5, 0.5]))
    # Own distance 0 plus margin 1, the other's distance 5: -log(e^-1 / (e^-1 + e^-5)) for both.
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-4)))
    radius = torch.tensor([0.5, 2.5])
    loss = robustness_loss(points, torch.tensor([0, 1]), points, radius)
    assert float(loss) == pytest.approx((math.log(1 + math.exp(-4)) + math.log(2)) / 2)


@pytest.mark.parametrize(("radius", "loss"), [(0.5, 0.313262), (0.0, 0.126928)])
def test_the_margin_by_hand(radius: float, loss: float) -> None:
    """Own distance 1, the other's 3: with a margin of 1 log(1 + e^-1), without log(1 + e^-2)."""
    points, centroids = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [4.0]])
    value = robustness_loss(points, torch.tensor([0, 1]), centroids, torch.full((2,), radius))
    assert float(value) == pytest.approx(loss, abs=1e-6)


def test_the_public_shares_on_the_card() -> None:
    first, second = 200 * 10_847, 80 * 500 * 100
    assert second / (first + second) == pytest.approx(0.64836, abs=1e-5)
    epochs = round((first + second) / 10_847)
    assert epochs == 569
    method = DistributionalRobustness(facts([500, 5], 4), start=0.351)
    begins = next(epoch for epoch in range(epochs) if method.class_weights(at_progress(epoch / epochs)) is not None)
    assert (begins, epochs - begins) == (200, 369)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_against_loops(temperature: float) -> None:
    labels = torch.tensor([0, 3, 3, 1, 0, 3, 5])  # of six classes, two are absent
    embedding, centroids, radius = torch.randn(7, 4), torch.randn(6, 4), torch.rand(6)
    loss = robustness_loss(embedding, labels, centroids, radius, temperature)
    assert float(loss) == pytest.approx(slow_loss(embedding, labels, centroids, radius, temperature), rel=1e-5)


def test_it_bounds_the_loss_of_every_centroid_in_the_ball() -> None:
    labels, embedding, centroids = torch.tensor([0, 1, 2, 3]), torch.randn(4, 3), torch.randn(4, 3)
    radius, nothing = torch.full((4,), 0.7), torch.zeros(4)
    bound = float(robustness_loss(embedding, labels, centroids, radius))
    worst = 0.0
    for _ in range(300):
        moved = centroids + 0.7 * nn.functional.normalize(torch.randn(4, 3), dim=1)
        worst = max(worst, float(robustness_loss(embedding, labels, moved, nothing)))
    assert float(robustness_loss(embedding, labels, centroids, nothing)) < worst <= bound


def test_the_bound_is_reached_on_a_line() -> None:
    # The own sample to the left, the others to the right: a centroid that moves right by r is off by r from all of them.
    embedding, labels = torch.tensor([[-1.0], [4.0], [6.0]]), torch.tensor([0, 1, 1])
    centroids, nothing = torch.tensor([[0.0], [5.0]]), torch.zeros(2)
    bound = robustness_loss(embedding, labels, centroids, torch.tensor([0.8, 0.0]))
    moved = robustness_loss(embedding, labels, torch.tensor([[0.8], [5.0]]), nothing)
    assert float(bound) == pytest.approx(float(moved))


def test_gradients_are_finite_and_radii_only_add() -> None:
    points = torch.randn(8, 3, dtype=torch.float64)
    labels = torch.arange(4).repeat(2)
    for chosen in (labels, torch.zeros(8, dtype=torch.int64)):
        embedding, radius = points.clone().requires_grad_(), torch.full((4,), 0.2, dtype=torch.float64).requires_grad_()
        # Samples lie on their centroids: the distance has no slope there.
        by_embedding, by_radius = torch.autograd.grad(robustness_loss(embedding, chosen, points[:4], radius), (embedding, radius))
        assert bool(torch.isfinite(by_embedding).all())
        assert bool((by_radius > 1e-6).all()) == (chosen is labels) and bool((by_radius > -1e-12).all())
        # ... for with one class alone there is nothing to keep away.


def test_radii() -> None:
    counts = facts([100, 25, 4], 2)
    assert DistributionalRobustness(counts, radius="counts", epsilon=1.0).radius.tolist() == pytest.approx([0.1, 0.2, 0.5])
    shared, learned = DistributionalRobustness(counts, radius="shared"), DistributionalRobustness(counts)
    assert shared.radius.tolist() == learned.radius.tolist() == [0.5, 0.5, 0.5]
    assert not list(shared.parameters()) and [p.shape for p in learned.parameters()] == [(3,)]
    (group,) = learned.parameter_groups(cast(Context, None))
    assert group.weight_decay == 0 and not shared.parameter_groups(cast(Context, None))
    with torch.no_grad():
        learned.radius.copy_(torch.tensor([-0.1, 0.0, 0.3]))
        learned.after_step(cast(Context, None), cast(Seen, None))
    assert learned.radius.tolist() == pytest.approx([0.0, 0.0, 0.3])
    free = DistributionalRobustness(counts, radius="free")
    with torch.no_grad():
        free.radius.fill_(-0.1)
        free.after_step(cast(Context, None), cast(Seen, None))
    assert isinstance(free.radius, nn.Parameter) and free.radius.tolist() == pytest.approx([-0.1] * 3)


def test_it_begins_late_and_balances_draws_but_not_the_stacks_own_loss() -> None:
    counts = [60, 12, 3]
    method, plain = DistributionalRobustness(facts(counts)), DistributionalRobustness(facts(counts), sampler="instance")
    before, after = at_progress(0.69), at_progress(0.7)
    for early in (method, plain):
        assert early.streams(before)["main"] == "default" and early.class_weights(before) is None
    assert isinstance(method.streams(after)["main"], ClassBalanced) and plain.streams(after)["main"] == "default"
    weights = method.class_weights(after)
    assert weights is not None and plain.class_weights(after) is None
    assert (weights / weights.sum()).tolist() == pytest.approx([0.8, 0.16, 0.04])  # 1/3 each drawn: as by instances


def test_centroids_are_of_the_present_backbone(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch[0][:60], digits_batch[1][:60]
    counts = torch.bincount(labels, minlength=10).tolist()
    method = DistributionalRobustness(facts(counts, 16), weight=2.0)
    engine = first_stage([method], bank=Bank(torch.randn(60, 16), labels))
    bank = engine.ctx.features()
    method.start_epoch(at_epoch(engine, 6))
    assert not method.centroids.any()  # progress 0.6: not yet
    ctx = at_epoch(engine, 7)
    method.start_epoch(ctx)
    expected = torch.stack([torch.stack([z for z, label in zip(bank.embedding, labels, strict=True) if label == c]).mean(dim=0)
                            for c in range(10)])
    torch.testing.assert_close(method.centroids, expected)
    output = engine.requires_grad_(False).output(images)
    extra = method.extra_losses(ctx, Step(torch.zeros(()), output, batch_of(images, labels)))
    slow = slow_loss(output.embedding, labels, expected, method.radius, 1.0)
    assert float(extra["robustness"]) == pytest.approx(2 * slow, rel=1e-4)


def test_before_its_time_the_radii_take_part_with_nothing() -> None:
    method = DistributionalRobustness(facts([8, 8], 2))
    labels = torch.tensor([0, 1])
    step = Step(torch.zeros(()), Output(torch.randn(2, 2), torch.randn(2, 2), torch.randn(2, 2)),
                Batch(None, labels, [(labels, 1.0)], labels, labels))
    (extra,) = method.extra_losses(at_progress(0.0), step).values()
    (gradient,) = torch.autograd.grad(extra, [method.radius])
    assert float(extra.detach()) == 0 and not gradient.any()
    assert not DistributionalRobustness(facts([8, 8], 2), radius="shared").extra_losses(at_progress(0.0), step)


def test_refuses_bad_values() -> None:
    for name, values, message in (
            ("radius", ("worn",), "radius must be one of learned"), ("sampler", ("reversed",), "sampler must be one of"),
            ("epsilon", (-1.0, math.nan), "epsilon must be >= 0, got"),
            ("epsilon", (math.inf,), "epsilon must be >= 0 and finite"),
            ("weight", (-1.0,), "weight must be >= 0, got"),
            ("temperature", (0.0, math.nan), "temperature must be > 0"), ("start", (-0.1, 1.1), "start must be in")):
        for value in values:
            with pytest.raises(ValueError, match=message):
                DistributionalRobustness(facts([1, 1]), **{name: value})  # type: ignore[arg-type]


class TestFromTheFirstEpochOn(MethodConformance):
    method = "early_dro_lt"
    plugins = ("tests.plugins.ltbench_baselines.early",)
    test_two_processes_agree = pytest.mark.slow(MethodConformance.test_two_processes_agree)
    test_bears_many_classes = pytest.mark.slow(MethodConformance.test_bears_many_classes)
