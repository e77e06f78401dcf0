"""Open long-tailed recognition, OLTR, for classes that are known (Liu et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench

_LARGE: dict[str, Any] = {"backbone": "resnet10", "optimizer": "sgd", "momentum": 0.9, "schedule": "step", "gamma": 0.1,
                          "warmup": 0.0, "milestones": (1 / 3, 2 / 3), "augmentation": ("random_resized_crop", "flip", "jitter")}
# Of the nearest centroid: a feature may lie upon it, and its reachability would be infinite.
NEAREST = 1e-6


class ModulatedAttention(nn.Module):
    """Add to maps (B, d, h, w) what every position reads of all others, as much as a softmax over positions says.

    Args:
        channels: d.
        height: h.
        width: w.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.query, self.key, self.value = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.context = nn.Conv2d(inner, channels, 1, bias=False)
        self.where = nn.Linear(channels * height * width, height * width)
        for part in (self.query, self.key, self.value):
            nn.init.kaiming_normal_(part.weight)
            part.bias.data.zero_()  # type: ignore[union-attr]  # these have one
        nn.init.zeros_(self.context.weight)  # at first maps stay as they are

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        query, key, value = (part(maps).flatten(2) for part in (self.query, self.key, self.value))  # (B, d / 2, P)
        weights = (query.transpose(1, 2) @ key).softmax(dim=2)  # of position q for position p, (B, P, P)
        context = self.context((value @ weights.transpose(1, 2)).unflatten(2, maps.shape[2:]))
        where = self.where(maps.flatten(1)).softmax(dim=1).view(len(maps), 1, *maps.shape[2:])
        attended: Tensor = maps + where * context
        return attended


class AttendedBackbone(nn.Module):
    """Project what attention to the last maps gives.

    Args:
        pooled: Images (B, channels, H, W) -> (B, D).
        width: D.
    """

    def __init__(self, pooled: nn.Module, width: int) -> None:
        super().__init__()
        self.pooled, self.projection, self.feature_dim = pooled, nn.Linear(width, width), width

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D), none below 0."""
        return F.relu(self.projection(self.pooled(images)))


class MetaEmbedding(nn.Module):
    """Add to a feature what a memory of class centroids holds of it, and classify by cosines.

    Args:
        width: d.
        classes: C.
        scale: By what cosines are multiplied.
        reach: Over the distance from the nearest centroid, it is by what the joined feature is multiplied.
    """

    def __init__(self, width: int, classes: int, scale: float, reach: float) -> None:
        super().__init__()
        self.scale, self.reach = scale, reach
        self.hallucinator = nn.Linear(width, classes)
        self.selector = nn.Linear(width, width)
        self.weight = nn.Parameter(torch.empty(classes, width).uniform_(-1, 1) * width**-0.5)
        self.centroids = nn.Parameter(torch.zeros(classes, width))

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return logits of an embedding (B, d). No gradient reaches centroids through them: their loss alone moves them."""
        memory = self.centroids.detach()
        nearest = ltbench.euclidean_distance(embedding, memory).amin(dim=1, keepdim=True).clamp_min(NEAREST)
        recalled = self.hallucinator(embedding).softmax(dim=1) @ memory
        meta = (self.reach / nearest * (embedding + self.selector(embedding).tanh() * recalled)).float()
        # The longer a meta-embedding, the nearer it comes to length 1.
        features = meta / (1 + meta.norm(dim=1, keepdim=True))
        logits = self.scale * F.linear(features, F.normalize(self.weight, dim=1))
        return ltbench.Output(embedding, features, logits)


class OpenLongTailed(ltbench.Method):
    """Tune a trained network with attention to its last maps, and classify by the feature with what a memory adds to it.

    The memory holds a centroid of each class, which is learned. A feature far from all of them is made shorter, and its class
    less sure. Only known classes are tested here, without the paper's threshold.

    Args:
        weight: Of the loss on centroids; the loss on labels counts 1.
        repulsion: Of its part that drives features from other classes' centroids; that which draws them to their own counts 1.
        margin: Mean squared distance from the others beyond which nothing drives.
        scale: By what cosines are multiplied.
        reach: By what over the distance from the nearest centroid features are multiplied.
        backbone_lr: Peak rate of backbone and centroids.
    """

    name = "oltr"
    stages = frozenset({2})
    backbone = "tuned"
    leaves = "MetaEmbedding"

    def __init__(self, facts: ltbench.Facts, *, weight: Annotated[ltbench.NonNegative, ltbench.LogUniform(1e-3, 0.1)] = 0.01,
                 repulsion: ltbench.NonNegative = 0.01, margin: ltbench.NonNegative = 10.0, scale: ltbench.Positive = 16.0,
                 reach: ltbench.Positive = 10.0,
                 backbone_lr: Annotated[ltbench.Positive, ltbench.LogUniform(1e-3, 0.1)] = 0.01) -> None:
        super().__init__(facts)
        self.weight, self.repulsion, self.margin = weight, repulsion, margin
        self.scale, self.reach, self.backbone_lr = scale, reach, backbone_lr

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting: 30 epochs of cross-entropy, then 60."""
        if task.dataset != "imagenet-lt":
            return None
        later = {**_LARGE, "stage2_draws": 60.0, "stage2_batch_size": 128, "stage2_lr": 0.1, "stage2_weight_decay": 5e-4,
                 "stage2_schedule": "step"}
        first = {**_LARGE, "epochs": 30, "batch_size": 128, "lr": 0.1, "weight_decay": 5e-4}
        return ltbench.PaperSetting(protocol=later, stage1="ce", stage1_protocol=first)

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the trained network with attention to its last maps and a projection."""
        trunk, last = make.parts()
        attended = nn.Sequential(trunk, last, ModulatedAttention(*make.map_shapes()[-1]))
        return AttendedBackbone(make.pooled(attended), make.feature_dim)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the memory and its classifier."""
        return MetaEmbedding(make.feature_dim, make.num_classes, self.scale, self.reach)

    def setup(self, ctx: ltbench.Context) -> None:
        """Let what asks the memory begin as the earlier classifier, where that is linear and reads as many features."""
        before = getattr(ctx.previous.head, "classifier", None) if ctx.previous is not None else None
        asks = cast(MetaEmbedding, ctx.engine.head).hallucinator
        if isinstance(before, nn.Linear) and before.bias is not None and before.weight.shape == asks.weight.shape:
            asks.load_state_dict(before.state_dict())

    def fit(self, ctx: ltbench.Context) -> None:
        """Let centroids begin as the mean features of the classes."""
        bank = ctx.features("train")
        head = cast(MetaEmbedding, ctx.engine.head)
        head.centroids.data.copy_(ltbench.class_centroids(bank.embedding, bank.labels, self.facts.num_classes))

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        """Return backbone and centroids, which learn more slowly than the classifier."""
        centroids = cast(MetaEmbedding, ctx.engine.head).centroids
        return [ltbench.ParameterGroup([*ctx.engine.backbone.parameters(), centroids], lr=self.backbone_lr)]

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return all images, of every class equally often."""
        return {"main": ltbench.ClassBalanced()}

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        """Return the loss that forms the memory."""
        centroids = cast(MetaEmbedding, ctx.engine.head).centroids
        each = self.memory_losses(step.output.embedding, step.batch.labels, centroids, step.batch.global_labels)
        return {"memory": self.weight * each.mean()}

    def memory_losses(self, features: Tensor, labels: Tensor, centroids: Tensor, global_labels: Tensor) -> Tensor:
        """Return half the squared distance from the own centroid, and a hinge on that from all others, shape (B,).

        A centroid is drawn to the mean of its images in the batch, as if there were one more upon it: its gradient is divided by
        their number plus one.

        Args:
            features: Shape (B, d).
            labels: Shape (B,).
            centroids: Shape (C, d).
            global_labels: Of the global batch, shape (G,).
        """
        own = centroids[labels]
        images = (labels[:, None] == global_labels).sum(dim=1)
        drawn = (features.float() - own.detach()).square().sum(dim=1) / 2
        draws = (features.detach().float() - own).square().sum(dim=1) / 2 / (images + 1)
        squared = ltbench.pairwise_squared_distance(features, centroids)  # (B, C)
        others = squared.scatter(1, labels[:, None], 0.0).sum(dim=1) / len(centroids)
        driven = (self.margin - others).clamp_min(0)
        return drawn + (draws - draws.detach()) + self.repulsion * driven
