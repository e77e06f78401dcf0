"""Training as a whole: an independent slow implementation, the start, the sampling, and what stays true while it goes on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ltbench.data.samplers import ClassBalanced
from ltbench.method.context import Bank
from ltbench.method.heads import DistanceClassifier
from ltbench.training.engine import Engine
from ltbench.training.optimization import Optimization
from ltbench_ncm.ncm import NearestClassMean
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.methods import named
from tests.support.stages import PROTOCOL, facts, later_stage, random_bank, train

COUNTS = [9, 4, 2]
STEPS, BATCH = 6, 5


def classifier_of(engine: Engine) -> DistanceClassifier:
    classifier = engine.head.classifier
    assert isinstance(classifier, DistanceClassifier)
    return classifier


def long_tailed_bank() -> Bank:
    everything = random_bank(3, 4, per_class=9)
    rank = torch.arange(27) // 3
    kept = rank < torch.tensor(COUNTS)[everything.labels]
    return Bank(everything.embedding[kept], everything.labels[kept])


def slow_training(bank: Bank, tau: float, lr: float, temperature_lr: float) -> tuple[list[list[float]], list[float]]:
    """Train sample by sample with derivatives written out; return prototypes (C, D) and logarithms of temperatures (D,)."""
    x, y = bank.embedding.double().tolist(), bank.labels.tolist()
    dims, classes = range(len(x[0])), range(len(COUNTS))
    c = [[sum(x[i][j] for i in range(len(x)) if y[i] == k) / COUNTS[k] for j in dims] for k in classes]
    u = [0.0 for _ in dims]
    velocity_c, velocity_u = [[0.0 for _ in dims] for _ in classes], [0.0 for _ in dims]
    order = ClassBalanced().draw(np.array(y), STEPS * BATCH, np.random.default_rng(0)).tolist()
    for step in range(STEPS):
        by_c, by_u = [[0.0 for _ in dims] for _ in classes], [0.0 for _ in dims]
        for i in order[step * BATCH:(step + 1) * BATCH]:
            distance = [math.sqrt(sum((x[i][j] - c[k][j]) ** 2 / math.exp(u[j]) for j in dims)) for k in classes]
            weight = [math.exp(-distance[k] / 2) * COUNTS[k] ** tau for k in classes]
            for k in classes:
                slope = (weight[k] / sum(weight) - (k == y[i])) / BATCH  # of the loss by the logit
                for j in dims:
                    scaled = (x[i][j] - c[k][j]) / math.exp(u[j])
                    by_c[k][j] += slope * 0.5 * scaled / distance[k]
                    by_u[j] += slope * 0.25 * scaled * (x[i][j] - c[k][j]) / distance[k]
        factor = (1 + math.cos(math.pi * step / STEPS)) / 2  # the common protocol's schedule
        for j in dims:
            velocity_u[j] = 0.9 * velocity_u[j] + by_u[j]
            u[j] -= temperature_lr * factor * velocity_u[j]
            for k in classes:
                velocity_c[k][j] = 0.9 * velocity_c[k][j] + by_c[k][j]
                c[k][j] -= lr * factor * velocity_c[k][j]
    return c, u


@pytest.mark.parametrize("tau", [0.0, 0.25])
def test_several_steps_are_those_of_a_slow_implementation(tau: float) -> None:
    bank = long_tailed_bank()
    engine = later_stage(PrototypeClassifier(facts(COUNTS, 4), tau=tau, lr=0.7, temperature_lr=0.2), bank)
    train(engine, bank, STEPS, batch_size=BATCH)
    prototypes, logarithms = slow_training(bank, tau, 0.7, 0.2)
    classifier = classifier_of(engine)
    torch.testing.assert_close(classifier.prototypes.detach(), torch.tensor(prototypes), atol=1e-4, rtol=1e-4)
    assert classifier.log_temperatures is not None
    torch.testing.assert_close(classifier.log_temperatures.detach(), torch.tensor(logarithms), atol=1e-4, rtol=1e-4)
    assert classifier.log_temperatures.abs().max() > 0.01


def test_momentum_is_nine_tenths_in_both_groups() -> None:
    engine = later_stage(PrototypeClassifier(facts([8, 8], 4)), random_bank(2, 4))
    optimizer = Optimization(engine, PROTOCOL, 1).optimizer
    assert [(group["lr"], group["momentum"], group["weight_decay"]) for group in optimizer.param_groups] == [
        (4.0, 0.9, 0.0), (0.005, 0.9, 0.0)]


def test_it_starts_as_the_nearest_class_mean(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    bank = Bank(images.flatten(1), labels)
    known = facts(torch.bincount(labels).tolist(), 64)
    start = later_stage(PrototypeClassifier(known), bank)
    nearest = later_stage(NearestClassMean(known), bank)
    torch.testing.assert_close(start.predict(bank.embedding), nearest.predict(bank.embedding))
    by_hand = torch.stack([images[labels == k].flatten(1).mean(dim=0) for k in range(10)])
    torch.testing.assert_close(classifier_of(start).prototypes.detach(), by_hand)


def test_draws_are_class_balanced() -> None:
    labels = np.repeat([0, 1, 2], [500, 50, 5])
    method = PrototypeClassifier(facts([500, 50, 5]))
    (sampler,) = method.streams(later_stage(method, random_bank(3, 2)).ctx).values()
    drawn = np.bincount(labels[sampler.draw(labels, 9000, np.random.default_rng(0))])
    assert abs(drawn - 3000).max() < 5 * math.sqrt(9000 * 2 / 9)  # five standard deviations


def test_temperatures_stay_positive_under_any_rate() -> None:
    bank = random_bank(3, 4)
    engine = later_stage(PrototypeClassifier(facts([8, 8, 8], 4), temperature_lr=5.0, lr=0.01), bank)
    train(engine, bank, 30)
    temperatures = classifier_of(engine).temperatures.detach()
    assert (temperatures > 0).all() and temperatures.min() < 0.5  # a step of that size in T itself had crossed 0
    assert engine.predict(bank.embedding).isfinite().all()


def test_weight_decay_draws_temperatures_to_one_and_prototypes_nowhere() -> None:
    bank = Bank(torch.zeros(2, 3), torch.tensor([0, 1]))  # no gradient: all is at distance 0
    engine = later_stage(PrototypeClassifier(facts([1, 1], 3), temperature_weight_decay=0.5, temperature_lr=0.1), bank)
    classifier = classifier_of(engine)
    assert classifier.log_temperatures is not None
    classifier.log_temperatures.data = torch.tensor([1.0, -1.0, 0.0])
    classifier.prototypes.data = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    loss = 0 * classifier.prototypes.sum() + 0 * classifier.log_temperatures.sum()
    optimizer = Optimization(engine, PROTOCOL, 2).optimizer
    loss.backward()
    optimizer.step()
    torch.testing.assert_close(classifier.log_temperatures.detach(), torch.tensor([0.95, -0.95, 0.0]))
    assert torch.equal(classifier.prototypes.detach(), torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))


def test_learning_separates_prototypes_more_than_centroids(digits_batch: tuple[Tensor, Tensor]) -> None:
    # Section 4.6, on real images: mean distance grows and mean cosine falls.
    images, labels = digits_batch
    bank = Bank(4 * images.flatten(1), labels)
    engine = later_stage(named("pc")(facts(torch.bincount(labels).tolist(), 64)), bank)
    (method,) = engine.stack.methods
    before = method.measure(engine.ctx)
    train(engine, bank, 60, batch_size=128)
    after = method.measure(engine.ctx)
    assert after["separation_all_euclidean"] > 1.1 * before["separation_all_euclidean"]
    assert after["separation_all_cosine"] < before["separation_all_cosine"]
