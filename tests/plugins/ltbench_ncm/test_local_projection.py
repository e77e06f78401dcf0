from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench.method.context import Bank
from ltbench.training.engine import Engine
from ltbench_ncm.local_projection import LocalProjection, LocalProjectionClassifier, eigenvectors
from tests.support.stages import facts, later_stage, random_bank, train


def classifier_of(engine: Engine) -> LocalProjectionClassifier:
    classifier = engine.head.classifier
    assert isinstance(classifier, LocalProjectionClassifier)
    return classifier


def slowly(x: Tensor, bank: Bank, weights: Tensor) -> Tensor:
    """Return eq. 4 with Q D Q^T, from each class's whole covariance matrix, pair by pair."""
    columns = []
    for k, w in enumerate(weights):
        samples = bank.embedding[bank.labels == k].double()
        mean = samples.mean(dim=0)
        _, q = torch.linalg.eigh(torch.cov(samples.T, correction=0))  # eigenvectors in columns, by increasing eigenvalue
        form = q @ torch.diag(torch.sigmoid(w.double())) @ q.T
        columns.append(torch.stack([(row - mean) @ form @ (row - mean) for row in x.double()]))
    return torch.stack(columns, dim=1)


def test_by_hand() -> None:
    # Class 0 spreads by +-3 along the first axis and by +-1 along the second: the last direction is the first axis.
    bank = Bank(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0], [9.0, 9.0]]), torch.tensor([0, 0, 0, 0, 1]))
    engine = later_stage(LocalProjection(facts([4, 1])), bank)
    classifier = classifier_of(engine)
    torch.testing.assert_close(classifier.metric[0].abs(), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    x = torch.tensor([[4.0, 2.0]])
    assert float(engine.predict(x)[0, 0]) == pytest.approx(-5.0)  # all weights 1/2: -(16 + 4) / 2 / 2
    classifier.weights.data[0] = torch.tensor([0.0, -100.0])  # the wide direction is thrown away
    assert float(engine.predict(x)[0, 0]) == pytest.approx(-1.0)  # -(4 / 2) / 2


def test_equals_the_matrix_form_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    pooled = torch.nn.functional.avg_pool2d(images, 2).flatten(1)  # 16 features: every covariance has full rank
    bank = Bank(pooled + 0.05 * torch.randn_like(pooled), labels)
    engine = later_stage(LocalProjection(facts(torch.bincount(labels).tolist(), 16)), bank)
    classifier = classifier_of(engine)
    with torch.no_grad():
        classifier.weights.normal_()
    x = bank.embedding[:20]
    torch.testing.assert_close(classifier.squared(x).double(), slowly(x, bank, classifier.weights), atol=1e-4, rtol=1e-3)
    weights = classifier.weights.detach().clone().requires_grad_()
    (theirs,) = torch.autograd.grad(slowly(x, bank, weights).sum(), weights)
    (ours,) = torch.autograd.grad(classifier.squared(x).sum(), classifier.weights)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-2)


def test_few_directions_and_one_weight_for_the_rest() -> None:
    # With equal weights for the rest, the form of low rank is the whole one.
    bank = random_bank(3, 5, per_class=30)
    low = classifier_of(later_stage(LocalProjection(facts([30] * 3, 5), rank=2), bank))
    rest, top = torch.randn(3), torch.randn(3, 2)
    low.weights.data = top
    assert low.rest is not None
    low.rest.data = rest
    whole = torch.cat([rest[:, None].expand(3, 3), top], dim=1)
    torch.testing.assert_close(low.squared(bank.embedding[:9]).double(), slowly(bank.embedding[:9], bank, whole), atol=1e-4,
                               rtol=1e-3)
    assert classifier_of(later_stage(LocalProjection(facts([30] * 3, 5)), bank)).rest is None


def test_eigenvectors_of_fewer_samples_than_features() -> None:
    centered = torch.randn(3, 6)
    centered -= centered.mean(dim=0)
    whole = eigenvectors(centered, 6)
    torch.testing.assert_close(whole @ whole.T, torch.eye(6), atol=1e-5, rtol=0)
    spread = (centered @ whole.T).square().sum(dim=0)
    torch.testing.assert_close(spread, spread.sort().values, atol=1e-5, rtol=0)
    some = eigenvectors(centered, 4)
    assert not some[0].any()  # three samples have three singular vectors; the rest is left to the common weight
    torch.testing.assert_close(some[1:].abs()[-2:], whole.abs()[-2:], atol=1e-5, rtol=0)


def test_only_the_weights_are_learned() -> None:
    bank = random_bank(3, 4)
    engine = later_stage(LocalProjection(facts([8] * 3, 4)), bank)
    classifier = classifier_of(engine)
    fixed = [classifier.prototypes.clone(), classifier.metric.clone()]
    train(engine, bank, 10)
    assert torch.equal(classifier.prototypes, fixed[0]) and torch.equal(classifier.metric, fixed[1])
    assert classifier.weights.detach().abs().max() > 0
    assert [name for name, p in engine.named_parameters() if p.requires_grad] == ["head.classifier.weights"]


def test_a_spurious_wide_direction_is_thrown_away() -> None:
    # Classes differ along the first axis; class 1 has a wide direction of noise along the second, in which class 0 lies too.
    labels = torch.tensor([0, 1]).repeat(200)
    features = torch.randn(400, 2) * torch.tensor([0.3, 0.3])
    features[:, 0] += 2.0 * labels
    features[labels == 1, 1] *= 20
    engine = later_stage(LocalProjection(facts([200, 200])), Bank(features, labels))
    train(engine, Bank(features, labels), 60)
    shares = classifier_of(engine).weights.detach().sigmoid()
    assert shares[1, 1] < 0.1 < shares[1, 0]


def test_awkward_data() -> None:
    bank = Bank(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
    for rank in (None, 1):
        engine = later_stage(LocalProjection(facts([1, 1, 0]), rank=rank), bank)
        assert all(math.isfinite(loss) for loss in train(engine, bank, 3, batch_size=2))
        assert engine.predict(bank.embedding).isfinite().all()


def test_refuses() -> None:
    with pytest.raises(ValueError, match="rank must be >= 1 or none, got 0"):
        LocalProjection(facts([1, 1]), rank=0)
