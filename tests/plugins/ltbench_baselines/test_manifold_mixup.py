from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.digits import DigitsNet
from ltbench.errors import UserError
from ltbench.method.stack import Stack
from ltbench_baselines.la import LogitAdjustment
from ltbench_baselines.manifold_mixup import ManifoldMixup, trunk_parts
from ltbench_baselines.mixup import Mixup
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

KNOWN = facts([40, 30, 22, 16, 12, 9, 6, 4, 3, 2], 16)


def draws(seed: int, layers: int, alpha: float, size: int) -> tuple[int, float, Tensor]:
    """Return layer, proportion and partners as a step draws them, in that order."""
    generator = torch.Generator().manual_seed(seed)
    layer = int(torch.randint(layers, (), generator=generator))
    proportion = float(np.random.default_rng(int(torch.randint(2**62, (), generator=generator))).beta(alpha, alpha))
    return layer, proportion, torch.randperm(size, generator=generator)


def test_parts_are_the_stages_of_the_trunk() -> None:
    for backbone, parts in ((CifarResNet(20), 2), (DigitsNet(3), 1)):
        split, images = trunk_parts(backbone.eval()), torch.randn(2, 3, 16, 16)
        assert len(split) == parts
        torch.testing.assert_close(nn.Sequential(*split)(images), backbone.trunk(images))
    resnet = CifarResNet(20)
    maps = trunk_parts(resnet)[0](torch.zeros(1, 3, 32, 32))
    assert maps.shape == (1, 16, 32, 32)  # layer 1 is the first stage's output
    with pytest.raises(UserError, match="needs a backbone with trunk, last_stage and pool, got Flatten"):
        trunk_parts(nn.Flatten())


def test_step_mixes_at_the_drawn_layer(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch[0][:10], digits_batch[1][:10]
    engine = first_stage([ManifoldMixup(KNOWN), LogitAdjustment(KNOWN)]).requires_grad_(False)
    backbone = engine.backbone
    assert isinstance(backbone, CifarResNet)
    stem, first, second = backbone.trunk[:3], backbone.trunk[3], backbone.trunk[4]
    layers = (lambda x: x, lambda x: first(stem(x)), lambda x: second(first(stem(x))))
    rest = (lambda x: second(first(stem(x))), second, lambda x: x)
    prior = (KNOWN.class_counts / KNOWN.class_counts.sum()).log()
    met = set()
    for seed in range(12):
        layer, proportion, partners = draws(seed, 3, 2.0, len(labels))
        met.add(layer)
        step = engine.method("manifold_mixup").step(at_epoch(engine, 0, seed), {"main": batch_of(images, labels)})
        hidden = layers[layer](images)
        mixed = torch.stack([proportion * hidden[i] + (1 - proportion) * hidden[j] for i, j in enumerate(partners.tolist())])
        logits = engine.head.classifier(backbone.last_stage(rest[layer](mixed)).mean(dim=(2, 3)))  # type: ignore[operator]
        torch.testing.assert_close(step.output.logits, logits)
        losses = F.cross_entropy(logits + prior, labels, reduction="none") * proportion
        losses = losses + F.cross_entropy(logits + prior, labels[partners], reduction="none") * (1 - proportion)
        assert float(step.loss) == pytest.approx(float(losses.mean()), rel=1e-5)
        assert step.batch.images is not None and step.batch.images.shape == images.shape
        assert torch.equal(step.batch.images, images) == (layer > 0) and torch.equal(step.batch.labels, labels)
    assert met == {0, 1, 2}


class _Linear(nn.Module):
    """A backbone without any nonlinearity."""

    feature_dim = 16

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3)), nn.Sequential(nn.Conv2d(4, 8, 3)))
        self.last_stage = nn.Conv2d(8, 16, 3)

    @staticmethod
    def pool(maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.last_stage(self.trunk(images)))


def test_in_a_linear_network_the_layer_does_not_matter(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch[0][:10], digits_batch[1][:10]
    engine = first_stage([ManifoldMixup(KNOWN)], _Linear).requires_grad_(False)
    for seed in range(8):
        _, proportion, partners = draws(seed, 3, 2.0, len(labels))
        step = engine.method("manifold_mixup").step(at_epoch(engine, 0, seed), {"main": batch_of(images, labels)})
        logits = engine.output(images).logits
        torch.testing.assert_close(step.output.logits, proportion * logits + (1 - proportion) * logits[partners])


def test_layers_are_drawn_alike_and_can_be_limited(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch[0][:4], digits_batch[1][:4]
    for deepest, layers in ((0, 1), (1, 2), (2, 3), (9, 3)):
        engine = first_stage([ManifoldMixup(KNOWN, deepest=deepest)], _Linear).requires_grad_(False)
        ctx = at_epoch(engine, 0)
        plain = torch.tensor([torch.equal(step.batch.images, images) for step in (  # type: ignore[arg-type]
            engine.method("manifold_mixup").step(ctx, {"main": batch_of(images, labels)}) for _ in range(200))])
        assert float(plain.float().mean()) == pytest.approx(1 - 1 / layers, abs=0.08)  # a hidden layer leaves the images plain


def test_stands_alone_in_its_slots() -> None:
    with pytest.raises(UserError, match="both own 'mix'"):
        Stack([ManifoldMixup(KNOWN), Mixup(KNOWN)], 1)
    with pytest.raises(UserError, match="fits the first stage only"):
        Stack([ManifoldMixup(KNOWN)], 2)
    with pytest.raises(ValueError, match="alpha must be > 0, got 0"):
        ManifoldMixup(KNOWN, alpha=0.0)
    with pytest.raises(ValueError, match="deepest must be >= 0"):
        ManifoldMixup(KNOWN, deepest=-1)
    with pytest.raises(UserError, match="trunk, last_stage and pool"):
        first_stage([ManifoldMixup(KNOWN)], _Whole)


class _Whole(nn.Flatten):
    feature_dim = 64
