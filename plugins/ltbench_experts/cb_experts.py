"""Class-balanced experts that reject what is not theirs (Sharma et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

import ltbench
from ltbench_experts.divergence import NEVER
from ltbench_experts.lfme_experts import LARGE
from ltbench_experts.shots import of_the_first, own_classes


@dataclass(frozen=True)
class WithOthers(ltbench.Sampler):
    """Draw images of some classes, and now and then one of another.

    Args:
        classes: An expert's own.
        ratio: Images of its own classes for each one of another.
    """

    classes: tuple[int, ...]
    ratio: float

    def draw(self, labels: np.ndarray[Any, Any], num_draws: int, generator: np.random.Generator) -> np.ndarray[Any, Any]:
        """Return positions, int64, shape (num_draws,)."""
        others = tuple(sorted({*np.unique(labels).tolist()} - {*self.classes}))
        foreign = round(num_draws / (1 + self.ratio)) if others else 0
        parts = [ltbench.OfClasses(classes).draw(labels, count, generator)
                 for classes, count in ((self.classes, num_draws - foreign), (others, foreign)) if count]
        return generator.permutation(np.concatenate([np.zeros(0, np.int64), *parts]))

    def describe(self) -> dict[str, Any]:
        """Return the name, the classes and the ratio."""
        return {"sampler": "with_others", "classes": list(self.classes), "ratio": self.ratio}


class ExpertLevels(nn.Module):
    """Begin with one trained network: the first expert may change all of it, the second its last stage, the third nothing.

    Args:
        whole: Images (B, channels, H, W) -> embedding (B, d).
        trunk: Images -> maps, which stays as it is.
        last: The second expert's, maps -> embedding (B, d).
        kept: The trained last stage, which stays as it is.
        experts: E.
    """

    def __init__(self, whole: nn.Module, trunk: nn.Module, last: nn.Module, kept: nn.Module, experts: int, width: int) -> None:
        super().__init__()
        self.whole, self.trunk, self.last, self.kept = whole, trunk.requires_grad_(False), last, kept.requires_grad_(False)
        self.experts = experts
        self.feature_dim = width * experts

    def expert(self, number: int, images: Tensor | None) -> Tensor:
        """Return one expert's embedding of images, shape (B, d)."""
        embedding: Tensor = self.whole(images) if number == 0 else (self.last if number == 1 else self.kept)(self.trunk(images))
        return embedding

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings side by side, shape (B, E d)."""
        maps = self.trunk(images)
        return torch.cat([self.whole(images), self.last(maps), self.kept(maps)][:self.experts], dim=1)


class RejectHead(ltbench.ExpertHead):
    """Let every expert say how likely its own classes are, and that an image is of another; join what is left.

    Args:
        classifiers: Each from features (B, d) to logits (B, C).
        width: d.
        own: Which classes an expert has learned, bool, shape (E, C).
        ratio: Of the images that each was trained on, its own to others.
    """

    own: Tensor

    def __init__(self, classifiers: Sequence[nn.Module], width: int, own: Tensor, ratio: float) -> None:
        super().__init__(classifiers)
        self.rejects = nn.ModuleList(nn.Linear(width, 1) for _ in classifiers)
        self.register_buffer("own", own)
        self.shift = math.log((1 + ratio) / 2)  # in training 1 image of 1 + ratio was another's; as if half of them were

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return log probabilities; ``extra`` holds besides the experts' features and logits ``rejects``, shape (B, E)."""
        output = super().forward(embedding)
        parts = output.extra["expert_features"].unbind(dim=1)
        rejects = torch.cat([reject(part) for reject, part in zip(self.rejects, parts, strict=True)], dim=1) + self.shift
        own = output.extra["expert_logits"].masked_fill(~self.own, 0).sum(dim=1)
        output.extra["own_logits"], output.extra["rejects"] = own, rejects
        output.logits = joined(own, rejects, self.own)
        return output


def joined(logits: Tensor, rejects: Tensor, own: Tensor) -> Tensor:
    """Return log probabilities of all classes: each expert's softmax, without what it rejects, scaled to 1 together.

    Args:
        logits: Of each class by its own expert, shape (B, C).
        rejects: Shape (B, E).
        own: Shape (E, C).
    """
    each = logits.float()[:, None].masked_fill(~own, NEVER)  # (B, E, C)
    whole = torch.cat([each, rejects.float()[:, :, None]], dim=2).logsumexp(dim=2)  # (B, E)
    return (logits.float() - whole[:, own.int().argmax(dim=0)]).log_softmax(dim=1)


class ClassBalancedExperts(ltbench.Method):
    """Let three copies of a trained network learn classes with many, medium and few images, each to reject all others.

    The first learns all of its network, the second the last stage and its classifier, the third its classifier alone. ``joined``
    probabilities predict; ``cb_calibration`` is what the paper adds.

    Args:
        ratio: Images of an expert's own classes for each one of another class.
    """

    name = "cb_experts"
    stages = frozenset({2})
    backbone = "tuned"
    leaves = "RejectHead"

    own: Tensor

    def __init__(self, facts: ltbench.Facts, *, ratio: ltbench.Positive = 16.0) -> None:
        super().__init__(facts)
        self.ratio = ratio
        self.register_buffer("own", own_classes(facts.class_counts))  # (E, C)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's setting; it stops by validation accuracy, here after 30 epochs."""
        if task.dataset != "imagenet-lt":
            return None
        later = {**LARGE, "stage2_draws": 30.0, "stage2_batch_size": 256, "stage2_lr": 0.1, "stage2_weight_decay": 5e-4,
                 "stage2_schedule": "step", "milestones": (1 / 3, 2 / 3), "gamma": 0.1}
        return ltbench.PaperSetting(protocol=later, stage1="ce", stage1_protocol={
            **LARGE, "epochs": 100, "batch_size": 256, "schedule": "cosine"})

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the trained network at three levels of freedom."""
        trunk, kept = make.parts()
        return ExpertLevels(make.another(), trunk, make.last_stage(), make.pooled(kept), len(self.own), make.feature_dim)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return one classifier an expert, with a logit for other classes."""
        width = make.feature_dim // len(self.own)
        return RejectHead([make.classifier(width) for _ in self.own], width, self.own, self.ratio)

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return each expert's images, with a few of other classes."""
        names = ("main", "second", "third")
        return {name: WithOthers(tuple(classes.nonzero()[:, 0].tolist()), self.ratio)
                for name, classes in zip(names, self.own, strict=False)}

    def start_epoch(self, ctx: ltbench.Context) -> None:
        """Keep the statistics of what stays as it is: the loop puts every part into training mode."""
        levels = cast(ExpertLevels, ctx.engine.backbone)
        levels.trunk.eval()
        levels.kept.eval()

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Sum the losses of the experts, each over its own classes and all others as one."""
        head, levels = cast(RejectHead, ctx.engine.head), cast(ExpertLevels, ctx.engine.backbone)
        mixed = [ctx.mix(batch) for batch in batches.values()]
        features = [levels.expert(number, batch.images) for number, batch in enumerate(mixed)]
        logits = [classify(part) for classify, part in zip(head.classifiers, features, strict=True)]
        losses = [ctx.loss(self.with_reject(each, reject(part), own), batch)
                  for each, reject, part, own, batch in zip(logits, head.rejects, features, self.own, mixed, strict=True)]
        logs = {f"loss_{name}": loss for name, loss in zip(batches, losses, strict=True)}
        return ltbench.Step(torch.stack(losses).sum(), of_the_first(features[0], logits[0], self.own), mixed[0], logs)

    @staticmethod
    def with_reject(logits: Tensor, reject: Tensor, own: Tensor) -> Tensor:
        """Return an expert's logits over all classes, where the others share the one logit that rejects, shape (B, C).

        Together they have exp(reject) in the softmax, so that the loss of their images is that of one more class, plus the
        logarithm of their number, which changes no gradient; and any criterion takes it.

        Args:
            logits: Shape (B, C).
            reject: Shape (B, 1).
            own: Shape (C,).
        """
        others = (~own).sum().clamp_min(1)
        return torch.where(own, logits, reject - others.log())
