from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from ltbench.method.context import Bank
from ltbench_ncm.ncm import NearestClassMean
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.stages import facts, later_stage


def digits(batch: tuple[Tensor, Tensor]) -> tuple[Bank, Bank]:
    """Return real digits as 64 pixels, a long-tailed part to fit and the rest."""
    images, labels = batch
    features = images.flatten(1)
    rank = torch.zeros_like(labels)
    for k in range(10):
        rank[labels == k] = torch.arange(int((labels == k).sum()))
    kept = rank < (120 * 0.05 ** (labels / 9)).long()
    return Bank(features[kept], labels[kept]), Bank(features[~kept], labels[~kept])


def test_by_hand() -> None:
    bank = Bank(torch.tensor([[2.0, 4.0], [4.0, 4.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    x = torch.tensor([[0.0, 0.0]])
    # centroids (3, 4) and (0, 1): distances 5 and 1
    logits = later_stage(NearestClassMean(facts([2, 1])), bank).output(x).logits
    torch.testing.assert_close(logits, torch.tensor([[-2.5, -0.5]]))
    # the cosine of (4, 3) with them: 24/25 and 3/5
    cosine = later_stage(NearestClassMean(facts([2, 1]), distance="cosine"), bank).output(torch.tensor([[4.0, 3.0]])).logits
    torch.testing.assert_close(cosine, torch.tensor([[-0.02, -0.2]]), atol=1e-6, rtol=0)


def test_agrees_with_scikit_learn_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    fit, rest = digits(digits_batch)
    engine = later_stage(NearestClassMean(facts(torch.bincount(fit.labels).tolist(), 64)), fit)
    theirs = NearestCentroid().fit(fit.embedding.numpy(), fit.labels.numpy()).predict(rest.embedding.numpy())
    assert torch.equal(engine.predict(rest.embedding).argmax(dim=1), torch.as_tensor(theirs))


def test_cosine_is_the_largest_cosine_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    fit, rest = digits(digits_batch)
    engine = later_stage(NearestClassMean(facts(torch.bincount(fit.labels).tolist(), 64), distance="cosine"), fit)
    centroids = torch.stack([fit.embedding[fit.labels == k].mean(dim=0) for k in range(10)])
    cosines = F.cosine_similarity(rest.embedding[:, None], centroids[None], dim=2)
    torch.testing.assert_close(engine.predict(rest.embedding), 0.5 * (cosines - 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_equals_untrained_prototypes(distance: str, digits_batch: tuple[Tensor, Tensor]) -> None:
    fit, rest = digits(digits_batch)
    known = facts(torch.bincount(fit.labels).tolist(), 64)
    ncm = later_stage(NearestClassMean(known, distance=distance), fit)  # type: ignore[arg-type]
    prototype = later_stage(PrototypeClassifier(known, distance=distance), fit)  # type: ignore[arg-type]
    torch.testing.assert_close(ncm.predict(rest.embedding), prototype.predict(rest.embedding))


def test_trains_nothing() -> None:
    bank = Bank(torch.randn(6, 2), torch.tensor([0, 0, 0, 1, 1, 1]))
    engine = later_stage(NearestClassMean(facts([3, 3])), bank)
    assert not engine.stack.trains
    assert not any(p.requires_grad for p in engine.parameters())


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_a_class_without_images_is_finite(distance: str) -> None:
    bank = Bank(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
    engine = later_stage(NearestClassMean(facts([1, 1, 0]), distance=distance), bank)  # type: ignore[arg-type]
    classifier = engine.head.classifier
    torch.testing.assert_close(classifier.prototypes[2], torch.tensor([2.0, 1.0]))  # type: ignore[union-attr, index, arg-type]
    assert engine.predict(bank.embedding).isfinite().all()
