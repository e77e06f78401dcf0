from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ltbench.method.heads import CosineClassifier
from ltbench_losses.gcl import GaussianClouded
from tests.support.known_context import batch_of, context, part_of
from tests.support.stages import facts

COUNTS = (100, 10, 1)


def method(counts: tuple[int, ...] = COUNTS, **values: Any) -> GaussianClouded:
    return GaussianClouded(facts(counts), **{"amplitude": 1.0, **values})


def test_clouds_by_hand() -> None:
    # log 100, log 10, log 1: the second class lies half way between the first and the last.
    torch.testing.assert_close(method().cloud, torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(method(amplitude=0.5).cloud, torch.tensor([0.0, 0.25, 0.5]))
    assert method((7, 7)).cloud.tolist() == [0.0, 0.0]


def test_loss_is_the_papers_one_sample_at_a_time() -> None:
    batch = batch_of([0, 1, 2, 2, 1, 0])
    step = method(scale=30.0).step(context(COUNTS, seed=5), {"main": batch})
    drawn = torch.randn(6, 3, generator=torch.Generator().manual_seed(5)).tolist()
    losses = []
    for logits, label, row in zip(step.output.logits.tolist(), batch.labels.tolist(), drawn, strict=True):
        clouded = []
        for k, count in enumerate(COUNTS):
            eps = min(max(row[k] / 3, -1), 1)
            clouded.append(30 * (logits[k] / 30 - abs(eps) * (math.log(100) - math.log(count)) / math.log(100)))
        losses.append(math.log(sum(math.exp(value - clouded[label]) for value in clouded)))
    assert float(step.loss) == pytest.approx(sum(losses) / 6, rel=1e-5)


def test_noise_is_of_the_size_that_the_paper_says() -> None:
    noise = method().drawn(context(COUNTS, seed=1), batch_of([0] * 20_000))
    assert noise[:, 0].abs().max() == 0 and noise.min() >= 0 and noise[:, 2].max() == 1 and noise[:, 1].max() == 0.5
    assert float(noise[:, 2].mean()) == pytest.approx(math.sqrt(2 / math.pi) / 3, rel=0.02)  # of a half-normal; 3 sigma is cut
    assert float(noise[:, 1].mean()) == pytest.approx(math.sqrt(2 / math.pi) / 6, rel=0.02)


def test_a_rare_label_costs_more_than_without_noise_and_the_most_frequent_one_less() -> None:
    rare, frequent = batch_of([2] * 200), batch_of([0] * 200)
    for batch, sign in ((rare, 1), (frequent, -1)):
        even = dataclasses.replace(batch, images=torch.zeros_like(batch.images))  # type: ignore[arg-type]
        loss = float(method().step(context(COUNTS), {"main": even}).loss)
        assert sign * (loss - math.log(3)) > 0.3


def test_a_part_of_a_batch_has_the_noise_of_the_whole() -> None:
    batch = batch_of([0, 1, 2, 0, 1, 2])
    whole = method().drawn(context(COUNTS, seed=2), batch)
    for first in (0, 3):
        assert torch.equal(method().drawn(context(COUNTS, seed=2), part_of(batch, first, 3)), whole[first:first + 3])


def test_prediction_is_a_scaled_cosine() -> None:
    classifier = method(scale=12.0).make_classifier(2, 3)
    assert isinstance(classifier, CosineClassifier)
    along = 5 * classifier.weight[1:2].detach()
    assert float(classifier(along)[0, 1].detach()) == pytest.approx(12.0)


def test_the_public_noise_is_absolute_and_has_a_fixed_margin_besides() -> None:
    batch = batch_of([0] * 20_000)
    absolute, signed = (method(noise=noise).drawn(context(COUNTS, seed=3), batch) for noise in ("absolute", "signed"))
    torch.testing.assert_close(signed.abs(), absolute)
    assert float(signed[:, 2].mean()) == pytest.approx(0.0, abs=0.01)
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 1])
    lowered = logits - 30 * 0.1 * F.one_hot(labels, 3)
    torch.testing.assert_close(method(margin=0.1).criterion(logits, labels), F.cross_entropy(lowered, labels, reduction="none"))


@pytest.mark.parametrize(("values", "message"), [
    ({"scale": 0.0}, "scale must be > 0, got 0.0"), ({"amplitude": -0.1}, "amplitude must be >= 0, got -0.1"),
    ({"noise": "loud"}, "noise must be one of absolute, signed, got loud"),
])
def test_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(**values)
