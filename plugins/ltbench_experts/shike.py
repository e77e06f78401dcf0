"""Self-heterogeneous integration with knowledge excavation, SHIKE (Jin et al., 2023, section 3): the representation."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_experts.divergence import NEVER, mutual_divergence

# The rate climbs from .05 to .15.
CIFAR: dict[str, Any] = {
    "epochs": 180, "batch_size": 128, "optimizer": "sgd", "lr": 0.15, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "cosine",
    "warmup": 5 / 180, "augmentation": ("crop", "flip", "autoaugment", "cutout"),
}


def norm_like(network: nn.Module, channels: int) -> nn.Module:
    """Return group norm where a network has it, so that none of its images' features depend on other images; else batch norm."""
    grouped = next((part for part in network.modules() if isinstance(part, nn.GroupNorm)), None)
    return nn.BatchNorm2d(channels) if grouped is None else nn.GroupNorm(grouped.num_groups, channels)


def shallow_branch(shapes: Sequence[tuple[int, int, int]], network: nn.Module) -> nn.Sequential:
    """Return 3 x 3 convolutions from maps of the first of these shapes to maps of the last, one for each stage in between.

    As in the public code, a ReLU follows each of them but the second.

    Args:
        shapes: Channels, height and width of maps after each stage.
        network: Whose norm they have.
    """
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(itertools.pairwise(shapes)):
        stride = -(-before[1] // after[1])
        layers += [nn.Conv2d(before[0], after[0], 3, stride=stride, padding=1, bias=False), norm_like(network, after[0])]
        layers += [nn.ReLU()] if number != 1 else []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


class DepthFusion(nn.Module):
    """Multiply each expert's maps by what a branch of its own makes of shallower maps, then pool.

    Args:
        stages: The shared ones: images -> maps, maps -> maps, ...; each gives maps of another depth.
        experts: Last stages, from the deepest shared maps to maps (B, d, h, w).
        branches: One an expert, from maps of depth ``i % len(stages)`` for expert i to maps (B, d, h, w).
        pool: Maps (B, d, h, w) -> (B, d).
        width: d.
    """

    def __init__(self, stages: Sequence[nn.Module], experts: Sequence[nn.Module], branches: Sequence[nn.Module], pool: nn.Module,
                 width: int) -> None:
        super().__init__()
        self.stages, self.experts, self.branches = nn.ModuleList(stages), nn.ModuleList(experts), nn.ModuleList(branches)
        self.pool = pool
        self.feature_dim = width * len(experts)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, E d)."""
        maps, depths, fused = images, [], []
        for stage in self.stages:
            maps = stage(maps)
            depths.append(maps)
        for number, (expert, branch) in enumerate(zip(self.experts, self.branches, strict=True)):
            deep, shallow = expert(maps), branch(depths[number % len(depths)])
            fused.append(self.pool(deep * F.adaptive_avg_pool2d(shallow, deep.shape[2:])))
        return torch.cat(fused, dim=1)


def excavated(logits: Tensor, own: Tensor) -> Tensor:
    """Return the teacher of classes that an image is not of, as log-probabilities, shape (B, C).

    Each such class has the largest logit that an expert gives it; the hardest one, the likeliest of the experts' mean, has that
    mean, so that no single expert's mistake is taught.

    Args:
        logits: Shape (B, E, C).
        own: Which classes the images are of, bool, shape (B, C).
    """
    mean = logits.mean(dim=1).masked_fill(own, NEVER)
    hardest = mean.argmax(dim=1, keepdim=True)
    teacher = logits.amax(dim=1).scatter(1, hardest, mean.gather(1, hardest))
    return teacher.masked_fill(own, NEVER).log_softmax(dim=1)


def excavation(logits: Tensor, own: Tensor) -> Tensor:
    """Sum the divergence of the experts from that teacher, over the classes that an image is not of, shape (B,).

    Sum over i of KL(t, p_i) = <t, E log t - sum_i log p_i>, which makes no array of experts' terms.
    """
    teacher = excavated(logits, own)
    students = logits.masked_fill(own[:, None], NEVER).log_softmax(dim=2).sum(dim=1)
    return (teacher.exp() * (logits.shape[1] * teacher - students)).sum(dim=1)


class SelfHeterogeneous(ltbench.Method):
    """Train experts that mix deep features with those of different depths, and teach them what images are not.

    The stack's criterion trains each expert; divergences between them, and from the teacher of wrong classes, are added. The
    mean of the logits predicts; ``shike_rebalance`` follows.

    Args:
        experts: E.
        depths: From how many depths shallow features come, in turn.
        mutual: Of the divergences between experts, by image.
        hardest: Of those from the teacher of wrong classes, by image.
        scale: By what cosines are multiplied.
    """

    name = "shike"
    stages = frozenset({1})
    leaves = "ExpertHead"

    def __init__(self, facts: ltbench.Facts, *, experts: Annotated[int, ltbench.Interval(ge=2)] = 3,
                 depths: Annotated[int, ltbench.Interval(ge=1, le=3)] = 2,
                 mutual: Annotated[ltbench.NonNegative, ltbench.LogUniform(0.001, 1.0)] = 0.01,
                 hardest: Annotated[ltbench.NonNegative, ltbench.LogUniform(0.01, 10.0)] = 0.1,
                 scale: ltbench.Positive = 30.0) -> None:
        super().__init__(facts)
        self.experts, self.depths = experts, depths
        self.mutual, self.hardest = mutual, hardest
        self.scale = scale

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting."""
        return ltbench.PaperSetting(protocol=CIFAR) if task.dataset == "cifar100-lt" else None

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return shared stages, and for each expert a last stage and a branch from maps of its depth."""
        shared, shapes = make.parts(self.depths)[:-1], make.map_shapes(self.depths)
        experts = [make.last_stage(pooled=False) for _ in range(self.experts)]
        branches = [shallow_branch(shapes[number % self.depths:], make.full()) for number in range(self.experts)]
        return DepthFusion(shared, experts, branches, make.pooled(nn.Identity()), make.feature_dim)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a classifier by scaled cosines."""
        return ltbench.CosineClassifier(feature_dim, num_classes, self.scale)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier an expert."""
        return ltbench.ExpertHead([make.classifier(make.feature_dim // self.experts) for _ in range(self.experts)])

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the experts' losses and what they teach each other."""
        mixed = ctx.mix(batches["main"])
        output = ctx.forward(mixed)
        logits = output.extra["expert_logits"].float()  # (B, E, C)
        own = torch.zeros_like(logits[:, 0], dtype=torch.bool)
        for labels, _ in mixed.targets:
            own = own.scatter(1, labels[:, None], True)
        logs = {
            "labels": torch.stack([ctx.loss(each, mixed) for each in logits.unbind(dim=1)]).sum(),
            "mutual": mutual_divergence(logits).mean(),
            "hardest": excavation(logits, own).mean(),
        }
        return ltbench.Step(logs["labels"] + self.mutual * logs["mutual"] + self.hardest * logs["hardest"], output, mixed, logs)
