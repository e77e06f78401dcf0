from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.method.contract import Method
from ltbench.method.heads import CosineClassifier
from ltbench.terms.task import Task
from ltbench_baselines.mixup import Mixup
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_contrastive.bcl import BalancedContrast, PrototypeHead, balanced_losses
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def on_sphere(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def simplex(classes: int) -> Tensor:
    """Return unit vectors whose cosines are all -1 / (C - 1), shape (C, C)."""
    return F.normalize(torch.eye(classes) - 1 / classes, dim=1)


def slow(projections: Tensor, labels: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """Class by class: the mean over its members without the anchor, the prototype among them."""
    losses = []
    projections, prototypes = projections.detach(), prototypes.detach()
    for i, (anchor, own) in enumerate(zip(projections, labels.tolist(), strict=True)):
        means, positives = [], []
        for k, prototype in enumerate(prototypes):
            others = [projections[j] for j in range(len(labels)) if labels[j] == k and j != i]
            scores = [float(anchor @ other) / temperature for other in (*others, prototype)]
            means.append(sum(map(math.exp, scores)) / len(scores))
            positives += scores if k == own else []
        losses.append(sum(math.log(sum(means)) - score for score in positives) / len(positives))
    return torch.tensor(losses)


def test_by_hand() -> None:
    """Two views of an image of class 0 at (1, 0) and (0, 1), prototypes at (1, 0) and (-1, 0), tau 1.

    The first view sees 0 and 1 in its class and -1 in the other: ln((1 + e) / 2 + 1 / e) - .5 = .300664. All that the second
    sees is at a right angle: ln(1 + 1).
    """
    projections, prototypes = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    losses = balanced_losses(projections, torch.tensor([0, 0]), prototypes, 1.0)
    torch.testing.assert_close(losses, torch.tensor([0.800664 - 0.5, math.log(2)]), rtol=0, atol=1e-5)


def test_by_a_slow_loop() -> None:
    labels = torch.tensor([0, 0, 0, 2, 2, 3, 0, 3])
    projections, prototypes = on_sphere(8, 6), on_sphere(5, 6)
    torch.testing.assert_close(balanced_losses(projections, labels, prototypes, 0.2), slow(projections, labels, prototypes, 0.2))


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 0, 0, 1, 1]])
def test_the_regular_simplex_attains_the_bound_whatever_the_imbalance(labels: list[int]) -> None:
    """The bound of the paper: log(1 + (C - 1) exp(-C / ((C - 1) tau))), and no smaller loss of a balanced batch."""
    vertices, tau = simplex(4), 0.5
    bound = math.log(1 + 3 * math.exp(-4 / (3 * tau)))
    losses = balanced_losses(vertices[labels], torch.tensor(labels), vertices, tau)
    torch.testing.assert_close(losses, torch.full_like(losses, bound))
    pairs = torch.arange(4).repeat_interleave(2)
    for _ in range(20):
        assert balanced_losses(on_sphere(8, 4), pairs, on_sphere(4, 4), tau).mean() > bound


def test_more_images_of_a_class_push_no_harder() -> None:
    """Class averaging: copies of what a class has already leave the losses of other classes as they are."""
    rare, large, prototypes = on_sphere(2, 6), on_sphere(1, 6), on_sphere(3, 6)
    prototypes[1] = large
    few, many = (balanced_losses(torch.cat([rare, large.expand(n, -1)]), torch.tensor([0, 0, *[1] * n]), prototypes, 0.1)
                 for n in (2, 40))
    torch.testing.assert_close(many[:2], few[:2])


def test_absent_classes_push_too() -> None:
    """Class complement: the prototype of a class without an image in the batch takes part."""
    projections, labels = on_sphere(4, 6), torch.tensor([0, 0, 1, 1])
    prototypes = on_sphere(3, 6).requires_grad_()
    balanced_losses(projections, labels, prototypes, 0.1).mean().backward()
    assert cast(Tensor, prototypes.grad)[2].norm() > 0


def step_of(images: Tensor, labels: Tensor, *others: type[Method], **options: Any) -> Any:
    known = facts(COUNTS, 16)
    engine = first_stage([BalancedContrast(known, hidden=12, dim=5, **options), *(other(known) for other in others)])
    batch = dataclasses.replace(batch_of(images[:8], labels[:8]), views=[images[i:i + 8] for i in (0, 8, 16)])
    return engine, batch, engine.method("bcl").step(at_epoch(engine, 0), {"main": batch})


@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_a_step_is_the_weighted_sum_of_both_branches(digits_batch: tuple[Tensor, Tensor], classifier: str) -> None:
    engine, batch, step = step_of(*digits_batch, InverseFrequencyWeights, classifier=classifier, classification=0.7, contrast=0.3)
    head = cast(PrototypeHead, engine.head)
    assert isinstance(head.classifier, CosineClassifier if classifier == "cosine" else nn.Linear)
    prior, weights = torch.tensor(COUNTS) / sum(COUNTS), 1 / torch.tensor(COUNTS)[batch.labels]
    logits = head.classifier(engine.backbone(batch.views[0]))
    classification = (weights * F.cross_entropy(logits + prior.log(), batch.labels, reduction="none")).sum() / weights.sum()
    first, norm, _, last = head.projector.layers
    hidden = first(torch.cat([engine.backbone(view) for view in batch.views[1:]]))
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
    contrast = slow(F.normalize(last(hidden.clamp_min(0)), dim=1), batch.labels.repeat(2), head.prototypes(), 0.1).mean()
    torch.testing.assert_close(step.loss, 0.7 * classification + 0.3 * contrast)
    assert step.batch is batch and step.output.logits.shape == (8, 10)


def test_mixing_changes_the_classified_view_alone(digits_batch: tuple[Tensor, Tensor]) -> None:
    plain, mixed = step_of(*digits_batch), step_of(*digits_batch, Mixup)
    mixed[0].load_state_dict(plain[0].state_dict())
    again = mixed[0].method("bcl").step(at_epoch(mixed[0], 0), {"main": mixed[1]})
    assert len(again.batch.targets) == 2
    torch.testing.assert_close(again.logs["contrast"], plain[2].logs["contrast"])


def test_settings_of_the_paper() -> None:
    cifar, large = (BalancedContrast.paper(Task(name, ratio)) for name, ratio in (("cifar100-lt", 100.0), ("inat18", None)))
    assert cifar is not None and large is not None
    assert (cifar.protocol["lr"], cifar.protocol["epochs"], dict(cifar.hyperparameters)) == (0.15, 200, {})
    assert large.protocol["augmentation"][-1] == "randaugment(n=2,m=10)" and large.hyperparameters["contrast"] == 0.35
