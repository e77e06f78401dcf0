from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ltbench.errors import UserError
from ltbench.method.context import Bank
from ltbench.method.heads import DistanceClassifier
from ltbench.training.engine import Engine
from ltbench_ncm.multi_distance import nearest_displaced_distance
from ltbench_ncm.multi_ncm import MultiCentroidClassifier, MultiNCM
from tests.support.methods import named
from tests.support.stages import facts, later_stage, previous_stage, random_bank, softmax_loss, train
from tests.support.steps import optimize


def slow_distance(x: Tensor, c: Tensor, displacements: Tensor) -> Tensor:
    """Return eq. 10, one sample, class and displacement after the other."""
    rows = []
    for sample in x:
        row = []
        for center in c:
            candidates = [center, *(center + d for d in displacements)]
            row.append(torch.stack([(sample - candidate).square().sum().sqrt() for candidate in candidates]).min())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def standing_on(centroids: Tensor, distance: str = "euclidean", temperatures: bool = False,
                projection: nn.Module | None = None) -> Engine:
    classifier = DistanceClassifier(centroids.shape[1], len(centroids), distance, temperatures)
    with torch.no_grad():
        classifier.prototypes.copy_(centroids)
    return previous_stage(classifier, centroids.shape[1], len(centroids), projection)


def classifier_of(engine: Engine) -> MultiCentroidClassifier:
    classifier = engine.head.classifier
    assert isinstance(classifier, MultiCentroidClassifier)
    return classifier


def test_distance_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0]])
    c = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    shifts = torch.tensor([[-3.0, 0.0], [10.0, 10.0]])
    # (3, 4) and (0, 4) and (13, 14): 4 is the least; (0, 1) itself beats (-3, 1).
    torch.testing.assert_close(nearest_displaced_distance(x, c, shifts), torch.tensor([[4.0, 1.0]]))


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_products_equal_a_slow_loop_with_gradients(offset: float) -> None:
    x, c = torch.randn(7, 5, dtype=torch.float64) + offset, torch.randn(4, 5, dtype=torch.float64) + offset
    shifts = torch.randn(6, 5, dtype=torch.float64)
    given = [t.clone().requires_grad_() for t in (x, c, shifts)]
    fast, slow = nearest_displaced_distance(*given), slow_distance(*given)
    torch.testing.assert_close(fast, slow)
    weight = torch.randn(7, 4, dtype=torch.float64)
    for ours, theirs in zip(torch.autograd.grad((fast * weight).sum(), given), torch.autograd.grad((slow * weight).sum(), given),
                            strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (fast < slow_distance(x, c, shifts[:0])).any()  # the displacements are used


def test_gradients_agree_with_finite_differences() -> None:
    given = tuple(torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 3, 4))
    assert torch.autograd.gradcheck(nearest_displaced_distance, given)


def test_in_single_precision_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    features = images.flatten(1)[:60]
    c = torch.stack([images.flatten(1)[labels == k].mean(dim=0) for k in range(10)])
    shifts = 0.3 * torch.randn(20, 64)
    torch.testing.assert_close(nearest_displaced_distance(features, c, shifts), slow_distance(features, c, shifts))


def test_distance_zero_has_gradient_zero() -> None:
    c = torch.tensor([[1.0, 2.0], [100.0, 0.0]])
    shifts = torch.tensor([[0.5, 0.5]], requires_grad=True)
    x = torch.stack([c[0], c[0] + 0.5])  # on a centroid, and on a displaced one
    distance = nearest_displaced_distance(x, c, shifts)
    assert torch.equal(distance[:, 0], torch.zeros(2))
    (gradient,) = torch.autograd.grad(distance[:, 0].sum(), shifts)
    assert torch.equal(gradient, torch.zeros(1, 2))


def test_it_takes_over_the_centroids_and_never_moves_them() -> None:
    bank = random_bank(3, 4)
    centroids = torch.randn(3, 4)
    engine = later_stage(MultiNCM(facts([8] * 3, 4)), bank, standing_on(centroids))
    classifier = classifier_of(engine)
    start = classifier.displacements.detach().clone()
    assert torch.equal(classifier.centroids, centroids) and start.shape == (20, 4)
    losses = train(engine, bank, 20)
    assert torch.equal(classifier.centroids, centroids)
    assert not torch.equal(classifier.displacements.detach(), start)
    assert all(math.isfinite(loss) for loss in losses)
    assert [name for name, p in engine.named_parameters() if p.requires_grad] == ["head.classifier.displacements"]
    (group,) = engine.stack.methods[0].parameter_groups(engine.ctx)
    assert list(group.parameters) == [classifier.displacements]
    assert (group.lr, group.weight_decay, group.clip_norm) == (5.0, 0.0, 0.1)


def test_the_null_displacement_keeps_the_learned_centroids() -> None:
    # Displacements that are nearest to nothing leave the predictions of the stage before.
    bank = random_bank(3, 4)
    before = standing_on(torch.randn(3, 4))
    engine = later_stage(MultiNCM(facts([8] * 3, 4)), bank, before)
    with torch.no_grad():
        classifier_of(engine).displacements.fill_(1e4)
    torch.testing.assert_close(engine.predict(bank.embedding), before.output(bank.embedding).logits, atol=1e-5, rtol=1e-5)


def test_displacements_start_where_they_can_learn() -> None:
    bank = random_bank(3, 16, per_class=50)
    means = torch.stack([bank.embedding[bank.labels == k].mean(dim=0) for k in range(3)])
    engine = later_stage(MultiNCM(facts([50] * 3, 16), start_scale=2.0), bank, standing_on(means))
    shifts = classifier_of(engine).displacements.detach()
    variance = torch.stack([(bank.embedding[bank.labels == k] - means[k]).square().sum(dim=1).mean() for k in range(3)]).mean()
    torch.testing.assert_close(shifts.norm(dim=1), (2 * (variance / 16).sqrt()).expand(20))
    assert shifts.unique(dim=0).shape == (20, 16)
    own = (bank.embedding - means[bank.labels])[:, None] - shifts  # (N, K, D)
    nearest = own.norm(dim=2).argmin(dim=1)
    assert len(nearest.unique()) == 20  # each is the nearest one of some feature


def test_learning_helps_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    bank = Bank(4 * images.flatten(1), labels)
    means = torch.stack([bank.embedding[labels == k].mean(dim=0) for k in range(10)])
    before = standing_on(means)
    engine = later_stage(MultiNCM(facts(torch.bincount(labels).tolist(), 64)), bank, before)
    optimize(engine, bank, 100, batch_size=128)

    def figures(stage: Engine) -> tuple[float, float]:
        with torch.no_grad():
            logits = stage.output(bank.embedding).logits
        return float(nn.functional.cross_entropy(logits, labels)), float((logits.argmax(dim=1) == labels).float().mean())

    (plain, accuracy), (learned, learned_accuracy) = figures(before), figures(engine)
    assert learned < 0.92 * plain  # .825 and .923
    assert learned_accuracy > accuracy + 0.02  # .942 and .905


def test_adjusted_by_hand() -> None:
    logits = torch.tensor([[-2.5, -0.5]])
    expected = softmax_loss([-2.5 + math.log(2), -0.5], 0)  # log(256) / 8 = log 2
    assert float(named("multi_ncm_la")(facts([256, 1])).criterion(logits, torch.tensor([0]))) == pytest.approx(expected)
    assert (MultiNCM.below, named("multi_ncm_la").below) == ("lncm", "lncm")


def test_it_reads_features_through_the_earlier_projection() -> None:
    projection = nn.Linear(6, 4, bias=False)
    bank = random_bank(3, 6)
    centroids = torch.randn(3, 4)
    engine = later_stage(MultiNCM(facts([8] * 3, 6)), bank, standing_on(centroids, projection=projection))
    features = engine.output(bank.embedding).features
    torch.testing.assert_close(features, projection(bank.embedding))
    assert classifier_of(engine).displacements.shape == (20, 4)
    assert not any(p.requires_grad for p in engine.head.projection.parameters())  # type: ignore[union-attr]


def test_refuses_a_stage_without_plain_centroids() -> None:
    bank = random_bank(3, 4)
    with pytest.raises(UserError, match="the stage before 'multi_ncm' must have centroids, as 'lncm' has, got Linear"):
        later_stage(MultiNCM(facts([8] * 3, 4)), bank, previous_stage(nn.Linear(4, 3), 4, 3))
    for before in (standing_on(torch.randn(3, 4), "cosine"), standing_on(torch.randn(3, 4), temperatures=True)):
        with pytest.raises(UserError, match="must be euclidean and without channel temperatures"):
            later_stage(MultiNCM(facts([8] * 3, 4)), bank, before)


@pytest.mark.parametrize(("name", "value", "constraint"), [("displacements", 0, ">= 1"), ("start_scale", 0.0, "> 0"),
                                                           ("lr", 0, "> 0"), ("tau", -1, ">= 0"), ("clip_norm", 0, "> 0")])
def test_refuses(name: str, value: float, constraint: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be {constraint}, got {value}"):
        MultiNCM(facts([1, 1]), **{name: value})  # type: ignore[arg-type]
