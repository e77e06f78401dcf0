from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench.data.samplers import ClassBalanced
from ltbench.method.class_distances import class_distance_normalized_variance
from ltbench.method.context import Bank
from ltbench.method.heads import DistanceClassifier
from ltbench.training.engine import Engine
from ltbench_ncm.lncm import LearnedNCM
from ltbench_ncm.ncm import NearestClassMean
from tests.support.methods import named
from tests.support.stages import facts, later_stage, random_bank, softmax_loss
from tests.support.steps import optimize


def centroids(engine: Engine) -> Tensor:
    classifier = engine.head.classifier
    assert isinstance(classifier, DistanceClassifier)
    return classifier.prototypes


def test_by_hand() -> None:
    bank = Bank(torch.tensor([[2.0, 4.0], [4.0, 4.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    engine = later_stage(LearnedNCM(facts([2, 1])), bank)
    logits = engine.output(torch.zeros(2, 2)).logits
    torch.testing.assert_close(logits, torch.tensor([[-2.5, -0.5]] * 2))  # centroids (3, 4) and (0, 1), minus half of 5 and 1
    labels = torch.tensor([0, 1])
    torch.testing.assert_close(engine.stack.methods[0].criterion(logits, labels),
                               torch.tensor([softmax_loss([-2.5, -0.5], k) for k in (0, 1)]))


def test_logit_adjustment_by_hand() -> None:
    # Eq. 9 with tau = 1/8: log(256) / 8 = log 2 is added to the first logit, 0 to the second.
    method = named("lncm_la")(facts([256, 1]))
    logits = torch.tensor([[-2.5, -0.5], [-2.5, -0.5]])
    expected = [softmax_loss([-2.5 + math.log(2), -0.5], k) for k in (0, 1)]
    torch.testing.assert_close(method.criterion(logits, torch.tensor([0, 1])), torch.tensor(expected))
    assert torch.equal(method.shift, LearnedNCM(facts([256, 1]), tau=0.125).shift)
    assert not LearnedNCM(facts([256, 1])).shift.any()


def test_adjustment_is_for_training_only() -> None:
    bank = random_bank(3, 4)
    engine = later_stage(named("lncm_la")(facts([500, 50, 5], 4), tau=1.0), bank)
    assert torch.equal(engine.predict(bank.embedding), engine.output(bank.embedding).logits)


def test_without_learning_it_is_the_nearest_class_mean(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    bank = Bank(images.flatten(1), labels)
    known = facts(torch.bincount(labels).tolist(), 64)
    learned = later_stage(LearnedNCM(known), bank).predict(bank.embedding)
    torch.testing.assert_close(learned, later_stage(NearestClassMean(known), bank).predict(bank.embedding))


@pytest.mark.parametrize("tau", [0.0, 0.125])
def test_eq_6_with_the_half_of_eq_3(tau: float) -> None:
    # A sample moves its own centroid towards itself by (1 - p) / 2, every other away by p / 2, whatever the distance.
    engine = later_stage(LearnedNCM(facts([500, 100, 5], 6), tau=tau), random_bank(3, 6))
    method = engine.stack.methods[0]
    assert isinstance(method, LearnedNCM)
    for far in (0.1, 100.0):
        x = far * torch.randn(1, 6)
        logits = engine.output(x).logits
        (gradient,) = torch.autograd.grad(method.criterion(logits, torch.tensor([1])).sum(), centroids(engine))
        p = (logits + method.shift).softmax(dim=1)[0].detach()
        towards = (x - centroids(engine)).detach()
        unit = towards / towards.norm(dim=1, keepdim=True)
        expected = 0.5 * (p - torch.eye(3)[1])[:, None] * unit
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("tau", [0.0, 0.125])
def test_some_steps_by_an_independent_loop(tau: float) -> None:
    # Sample by sample, centroid by centroid, in float64: eq. 6, clipping at .1 by norm, momentum .9, rate 5.
    bank = random_bank(4, 3)
    counts = [300, 80, 20, 4]
    engine = later_stage(LearnedNCM(facts(counts, 3), tau=tau), bank)
    batches, norms = optimize(engine, bank, 4)
    c = [bank.embedding[bank.labels == k].double().mean(dim=0) for k in range(4)]
    velocity = [torch.zeros(3, dtype=torch.float64) for _ in range(4)]
    for rows, norm in zip(batches, norms, strict=True):
        gradient = [torch.zeros(3, dtype=torch.float64) for _ in range(4)]
        for i in rows:
            x, y = bank.embedding[i].double(), int(bank.labels[i])
            scores = [math.exp(-0.5 * float((x - c[k]).norm()) + tau * math.log(counts[k])) for k in range(4)]
            for k in range(4):
                p = scores[k] / sum(scores)
                gradient[k] += 0.5 * (p - (k == y)) * (x - c[k]) / (x - c[k]).norm() / len(rows)
        length = math.sqrt(sum(float(g.square().sum()) for g in gradient))
        factor = min(1.0, 0.1 / length)
        assert norm == pytest.approx(length * factor, rel=1e-3)
        for k in range(4):
            velocity[k] = 0.9 * velocity[k] + factor * gradient[k]
            c[k] = c[k] - 5.0 * velocity[k]
    torch.testing.assert_close(centroids(engine).detach().double(), torch.stack(c), atol=1e-4, rtol=1e-4)


def test_clipping_is_by_norm_over_all_centroids() -> None:
    bank = Bank(torch.tensor([[5.0, 0.0], [-5.0, 0.0]]), torch.tensor([1, 0]))
    engine = later_stage(LearnedNCM(facts([1, 1])), bank)
    with torch.no_grad():
        centroids(engine).copy_(torch.tensor([[6.0, 0.0], [-6.0, 0.0]]))  # each at the other's place: everything is wrong
    before = centroids(engine).detach().clone()
    _, (norm,) = optimize(engine, bank, 1)
    assert norm == pytest.approx(0.1, rel=1e-4)  # of two vectors that pull equally: not .1 each, not .1 an entry
    torch.testing.assert_close((centroids(engine).detach() - before).norm(dim=1), torch.full((2,), 5 * 0.1 / math.sqrt(2)))


def test_small_gradients_are_left_alone() -> None:
    bank = Bank(torch.tensor([[30.0, 0.0], [32.0, 0.0], [-30.0, 0.0], [-32.0, 0.0]]), torch.tensor([0, 0, 1, 1]))
    engine = later_stage(LearnedNCM(facts([2, 2])), bank)
    _, (norm,) = optimize(engine, bank, 1)
    assert norm < 1e-6


def test_one_group_without_weight_decay() -> None:
    engine = later_stage(LearnedNCM(facts([8, 8], 4), lr=2.0, clip_norm=0.5), random_bank(2, 4))
    (group,) = engine.stack.methods[0].parameter_groups(engine.ctx)
    assert list(group.parameters) == [centroids(engine)]
    assert (group.lr, group.weight_decay, group.clip_norm) == (2.0, 0.0, 0.5)
    assert set(engine.stack.owner("streams").streams(engine.ctx)) == {"main"}
    assert isinstance(engine.stack.owner("streams").streams(engine.ctx)["main"], ClassBalanced)


def test_figure_6_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    # CDNV with the learned centroids in place of the means, variances fixed: it falls while they are learned.
    images, labels = digits_batch
    features = 4 * images.flatten(1)  # norms about 14, as features have them
    bank = Bank(features, labels)
    engine = later_stage(LearnedNCM(facts(torch.bincount(labels).tolist(), 64)), bank)
    method = engine.stack.methods[0]
    with torch.no_grad():
        before = method.measure(engine.ctx)
    means = torch.stack([features[labels == k].double().mean(dim=0) for k in range(10)])
    spread = [float((features[labels == k].double() - means[k]).square().sum(dim=1).mean()) for k in range(10)]

    def slowly(points: Tensor) -> float:
        pairs = [(i, j) for i in range(10) for j in range(10) if i != j]
        return sum((spread[i] + spread[j]) / (2 * float((points[i] - points[j]).square().sum())) for i, j in pairs) / len(pairs)

    assert before == {"displacement": 0.0, "cdnv": pytest.approx(slowly(means), rel=1e-5)}
    optimize(engine, bank, 60, batch_size=64)
    state = {name: value.clone() for name, value in engine.state_dict().items()}
    with torch.no_grad():
        after = method.measure(engine.ctx)
    learned = centroids(engine).detach().double()
    assert after["cdnv"] == pytest.approx(slowly(learned), rel=1e-5)
    assert after["displacement"] == pytest.approx(float((learned - means).norm(dim=1).mean()), rel=1e-4)
    assert after["cdnv"] < 0.9 * before["cdnv"]
    assert after["displacement"] > 1
    assert all(torch.equal(value, engine.state_dict()[name]) for name, value in state.items())  # measuring changes nothing


def test_cdnv_by_hand() -> None:
    # Distances 3, 4, 5; variances 1, 2, 3: (3/18 + 4/32 + 5/50) / 3, every pair twice.
    points, spread = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]), torch.tensor([1.0, 2.0, 3.0])
    expected = (3 / 18 + 4 / 32 + 5 / 50) / 3
    for block in (1, 2, 3, 1024):
        assert class_distance_normalized_variance(points, spread, block) == pytest.approx(expected)
    assert class_distance_normalized_variance(points + 1000, spread) == pytest.approx(expected, rel=1e-5)  # no digits lost
    assert class_distance_normalized_variance(points * 2, spread * 4) == pytest.approx(expected)
    assert class_distance_normalized_variance(torch.zeros(2, 2), torch.ones(2)) == math.inf
    with pytest.raises(ValueError, match="centroids must be of at least 2 classes, got 1"):
        class_distance_normalized_variance(points[:1], spread[:1])


def test_classes_in_one_point_have_no_cdnv() -> None:
    bank = Bank(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]))
    engine = later_stage(LearnedNCM(facts([2, 2])), bank)
    with torch.no_grad():
        assert engine.stack.methods[0].measure(engine.ctx) == {"displacement": 0.0}


def test_a_class_without_images_is_finite_and_not_measured() -> None:
    bank = Bank(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
    engine = later_stage(LearnedNCM(facts([1, 1, 0])), bank)
    torch.testing.assert_close(centroids(engine)[2].detach(), torch.tensor([2.0, 1.0]))
    with torch.no_grad():
        assert engine.stack.methods[0].measure(engine.ctx) == {"displacement": 0.0, "cdnv": 0.0}


def test_inputs() -> None:
    assert later_stage(LearnedNCM(facts([8, 8], 4)), random_bank(2, 4)).stack.inputs == "features"
    assert later_stage(LearnedNCM(facts([8, 8], 4), inputs="images"), random_bank(2, 4)).stack.inputs == "images"


@pytest.mark.parametrize(("name", "value", "constraint"), [("tau", -1, ">= 0"), ("lr", 0, "> 0"), ("clip_norm", 0, "> 0")])
def test_refuses(name: str, value: float, constraint: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be {constraint}, got {value}"):
        LearnedNCM(facts([1, 1]), **{name: value})  # type: ignore[arg-type]
