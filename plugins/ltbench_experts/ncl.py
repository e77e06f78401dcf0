"""Nested collaborative learning, NCL (Li et al., 2022, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_experts.divergence import NEVER, mutual_divergence

_CIFAR: dict[str, Any] = {
    "epochs": 400, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step",
    "milestones": (0.8, 0.9), "gamma": 0.1, "warmup": 5 / 400, "augmentation": ("crop", "flip", "autoaugment", "cutout"),
}
_LARGE: dict[str, Any] = {
    "backbone": "timm:resnet50", "optimizer": "sgd", "lr": 0.2, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "cosine",
    "warmup": 0.0, "augmentation": ("random_resized_crop", "flip", "jitter", "randaugment(n=2,m=10)"),
}
_SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cifar100-lt": (_CIFAR, {}),
    "imagenet-lt": ({**_LARGE, "epochs": 200, "batch_size": 256}, {"classifier": "cosine", "contrast": 0.0}),
    "inat18": ({**_LARGE, "epochs": 400, "batch_size": 512}, {"classifier": "cosine", "scale": 32.0, "contrast": 0.0}),
}


def hard_classes(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return each image's own class and the others with the largest logits, shape (B, count).

    Args:
        logits: Shape (B, C).
        labels: Shape (B,).
        count: At most C.
    """
    own_first = logits.detach().scatter(1, labels[:, None], torch.inf)
    return own_first.topk(count, dim=1).indices


def among(logits: Tensor, chosen: Tensor) -> Tensor:
    """Leave all but the chosen classes out of a softmax; a logit of 0 in place of theirs would keep them in it.

    Args:
        logits: Shape (B, C).
        chosen: Shape (B, N).
    """
    return torch.full_like(logits, NEVER).scatter(1, chosen, logits.gather(1, chosen))


class Projections(nn.Module):
    """Give every expert's embedding a projection of its own: (B, E d) -> unit vectors (B, E, dim)."""

    def __init__(self, experts: int, width: int, dim: int) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim)) for _ in range(experts))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the projections."""
        parts = embedding.chunk(len(self.each), dim=1)
        return F.normalize(torch.stack([project(part) for project, part in zip(self.each, parts, strict=True)], dim=1), dim=2)


class NestedCollaboration(ltbench.Method):
    """Let whole networks learn from the labels and from each other, over all classes and over each image's hardest ones.

    Every distribution is that of the balanced softmax. Each network also contrasts two views of an image, with a queue of keys.
    The mean of the plain logits predicts.

    Args:
        experts: E, whole networks.
        hard: Part of all classes that an image's own and hardest others are, of those that the first network finds likeliest.
        hard_weight: Of the loss over hard classes; that over all classes counts 1.
        distillation: Of the divergence between experts over all classes, and again over the hard ones.
        contrast: Of the contrastive loss; 0 leaves it out, and with it the second view.
        temperature: Of its similarities.
        momentum: Of the networks that make the keys.
        queue: Keys that are remembered, for each network.
        dim: Their length.
        classifier: The public code's is linear on CIFAR, and cosine on large images.
        scale: By what cosines are multiplied.
    """

    name = "ncl"
    stages = frozenset({1})
    leaves = "ExpertHead"

    log_counts: Tensor
    queue: Tensor
    filled: Tensor

    def __init__(self, facts: ltbench.Facts, *, experts: Annotated[int, ltbench.Interval(ge=2)] = 3,
                 hard: Annotated[float, ltbench.Interval(gt=0, le=1), ltbench.Uniform(0.1, 0.5)] = 0.3,
                 hard_weight: ltbench.NonNegative = 1.0,
                 distillation: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)] = 0.6,
                 contrast: ltbench.NonNegative = 1.0, temperature: ltbench.Positive = 0.2,
                 momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.999,
                 queue: Annotated[int, ltbench.Interval(ge=1)] = 1024, dim: Annotated[int, ltbench.Interval(ge=1)] = 64,
                 classifier: Literal["linear", "cosine"] = "linear", scale: ltbench.Positive = 16.0) -> None:
        super().__init__(facts)
        self.experts = experts
        self.hard = min(facts.num_classes, max(2, round(hard * facts.num_classes)))
        self.hard_weight, self.distillation, self.contrast = hard_weight, distillation, contrast
        self.temperature, self.momentum = temperature, momentum
        self.classifier, self.scale = classifier, scale
        self.register_buffer("log_counts", facts.log_counts.float())  # (C,)
        self.keys: nn.Module | None = None
        self.projections = None
        if contrast > 0:
            self.projections = Projections(experts, facts.feature_dim, dim)
            self.register_buffer("queue", torch.zeros(experts, queue, dim))
            self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting."""
        if task.dataset not in _SETTINGS:
            return None
        protocol, hyperparameters = _SETTINGS[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters)

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return whole networks that share nothing."""
        return ltbench.ExpertBackbone([make.full(), *(make.another() for _ in range(self.experts - 1))], make.feature_dim)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a linear classifier, or one by scaled cosines."""
        if self.classifier == "linear":
            return nn.Linear(feature_dim, num_classes)
        return ltbench.CosineClassifier(feature_dim, num_classes, self.scale)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier a network."""
        return ltbench.ExpertHead([make.classifier(make.feature_dim // self.experts) for _ in range(self.experts)])

    def setup(self, ctx: ltbench.Context) -> None:
        """Let networks that make keys follow those that are trained."""
        if self.projections is not None:
            self.keys = ctx.ema_of(nn.Sequential(ctx.engine.backbone, self.projections), self.momentum)

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        """Return the protocol's view, which is classified, and that of contrastive learning."""
        return (ctx.protocol.augmentation, ("simclr", "gaussian_blur")) if self.contrast > 0 else (ctx.protocol.augmentation,)

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: hard classes are those of one label, and keys those of one image."""
        return batch

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the balanced softmax's loss of every sample, shape (B,)."""
        return F.cross_entropy(logits + self.log_counts, labels, reduction="none")

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the losses of the networks over all and over hard classes, their divergences and their contrasts."""
        batch = batches["main"]
        output = ctx.forward(batch)
        logits = output.extra["expert_logits"].float()  # (B, E, C)
        hard = hard_classes(logits[:, 0], batch.labels, self.hard)  # (B, N)
        few = logits.gather(2, hard[:, None].expand(-1, self.experts, -1)) + self.log_counts[hard][:, None]  # (B, E, N)
        logs = {
            "all_classes": torch.stack([ctx.loss(each, batch) for each in logits.unbind(dim=1)]).sum(),
            "hard_classes": torch.stack([ctx.loss(among(each, hard), batch) for each in logits.unbind(dim=1)]).sum(),
            "divergence": mutual_divergence(logits + self.log_counts).mean() / (self.experts - 1),
            "hard_divergence": mutual_divergence(few).mean() / (self.experts - 1),
        }
        loss = (logs["all_classes"] + self.hard_weight * logs["hard_classes"]
                + self.distillation * (logs["divergence"] + logs["hard_divergence"]))
        if self.keys is None or self.projections is None:
            return ltbench.Step(loss, output, batch, logs)
        queries, keys = self.projections(output.embedding), self.keys(batch.views[1])
        logs["contrast"] = self.contrasted(queries, keys).mean()
        return ltbench.Step(loss + self.contrast * logs["contrast"], output, batch, logs, rows={"keys": keys})

    def contrasted(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return each image's contrastive loss, summed over the networks, shape (B,).

        Args:
            queries: Of the classified views, unit vectors, shape (B, E, dim).
            keys: Of the other views, alike.
        """
        own = (queries * keys).sum(dim=2, keepdim=True)
        others = torch.einsum("bed,eqd->beq", queries, self.queue.to(queries.dtype))
        empty = torch.arange(self.queue.shape[1], device=others.device) >= self.filled
        scores = torch.cat([own, others.masked_fill(empty, NEVER)], dim=2).float() / self.temperature
        return -scores.log_softmax(dim=2)[:, :, 0].sum(dim=1)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Put the global batch's keys at the front of the queues."""
        if self.keys is None:
            return
        keys = seen.rows["keys"].to(self.queue.dtype).transpose(0, 1)  # (E, G, dim)
        length = self.queue.shape[1]
        self.queue.copy_(torch.cat([keys, self.queue], dim=1)[:, :length])
        self.filled.add_(keys.shape[1]).clamp_(max=length)
