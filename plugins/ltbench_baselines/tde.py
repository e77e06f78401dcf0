"""Total direct effect, TDE (Tang et al., 2020, section 4): without what the momentum drew all features towards."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench


class MultiHeadClassifier(nn.Module):
    """Cut features and weight vectors into K heads, normalize each, and average the scaled products (section 4).

    Args:
        features: d, a multiple of K.
        classes: C.
        heads: K.
        scale: tau.
        norm_margin: gamma, added to the norm of each weight vector's part.
    """

    def __init__(self, features: int, classes: int, heads: int, scale: float, norm_margin: float) -> None:
        super().__init__()
        if features % heads:
            raise ltbench.UserError(f"heads must be a divisor of the {features} features, got {heads}")
        self.heads = heads
        self.scale = scale
        self.norm_margin = norm_margin
        self.weight = nn.Parameter(torch.empty(classes, features).uniform_(-1, 1) / math.sqrt(features))

    def directions(self, features: Tensor) -> Tensor:
        """Return each head's part at length 1, shape (B, K, d / K)."""
        return F.normalize(features.reshape(len(features), self.heads, -1), dim=2)

    def score(self, directions: Tensor) -> Tensor:
        """Return logits, shape (B, C).

        Args:
            directions: Shape (B, K, d / K).
        """
        parts = self.weight.reshape(len(self.weight), self.heads, -1)  # (C, K, d / K)
        parts = parts / (parts.norm(dim=2, keepdim=True) + self.norm_margin)
        return F.linear(self.scale / self.heads * directions.flatten(1), parts.flatten(1))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C)."""
        return self.score(self.directions(features))


def scaled_momentum(lr: float) -> float:
    """Return the mu of an epoch: 0.9 down to a rate of 0.02, then ever nearer to 1, so that a slow end forgets little.

    Args:
        lr: The epoch's learning rate.
    """
    return 1 - 0.1 * min(50 * lr, 1.0)


class TotalDirectEffect(ltbench.Method):
    """Follow the mean feature through training; at evaluation, subtract what its direction adds to an image's logits.

    Momentum draws features of all images to a direction that the large classes set. Its mediated effect is wrong for the tail.

    Args:
        alpha: How much of it is subtracted; 0 for nothing.
        heads: K of the classifier.
        scale: tau of the logits.
        norm_margin: gamma of the weight vectors' norms.
        momentum: mu of the running mean feature, that of the optimizer.
        scaled_momentum: Whether mu follows the learning rate of the epoch instead, as in the public code off CIFAR.
    """

    name = "tde"
    stages = frozenset({1})
    leaves = "MultiHeadClassifier"
    mean_feature: Tensor

    def __init__(self, facts: ltbench.Facts, *, alpha: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 3.0)] = 1.5,
                 heads: Annotated[int, ltbench.Interval(gt=0)] = 2, scale: ltbench.Positive = 16.0,
                 norm_margin: ltbench.NonNegative = 1 / 32,
                 momentum: Annotated[float, ltbench.Interval(ge=0, lt=1)] = 0.9, scaled_momentum: bool = False) -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.heads = heads
        self.scale = scale
        self.norm_margin = norm_margin
        self.momentum = momentum
        self.scaled_momentum = scaled_momentum
        self.register_buffer("mean_feature", torch.zeros(facts.feature_dim))  # (d,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the public code's settings; its ResNet-32 on CIFAR is BBN's, two last blocks side by side, 128 features."""
        sgd: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "lr": 0.2, "weight_decay": 5e-4}
        cifar = {**sgd, "backbone": "resnet32twin", "epochs": 200, "batch_size": 256, "schedule": "step", "warmup": 0.025,
                 "milestones": (0.6, 0.8), "gamma": 0.01, "augmentation": ("crop", "flip")}
        imagenet = {**sgd, "backbone": "timm:resnext50_32x4d", "epochs": 90, "batch_size": 512, "schedule": "cosine",
                    "warmup": 0.0}
        large = {"alpha": 3.0, "scaled_momentum": True}
        known = {"cifar10-lt": (cifar, {"alpha": 1.0}), "cifar100-lt": (cifar, {"alpha": 1.5}), "imagenet-lt": (imagenet, large),
                 "places-lt": (imagenet, large)}
        if task.dataset not in known:
            return None
        protocol, hyperparameters = known[task.dataset]
        return ltbench.PaperSetting(protocol=protocol, hyperparameters=hyperparameters)

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return the multi-head classifier."""
        return MultiHeadClassifier(feature_dim, num_classes, self.heads, self.scale, self.norm_margin)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the usual head; owning it says that no other method may put a projection before the classifier."""
        return make.head(make.classifier())

    def setup(self, ctx: ltbench.Context) -> None:
        """Start the mean at zero, as wide as the classifier: a backbone with branches gives more than the task's own."""
        self.mean_feature = torch.zeros_like(ctx.classifier(MultiHeadClassifier).weight[0]).detach()

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        """Move the mean feature as the optimizer's momentum moves; only its direction counts.

        With one mu an exponential mean has the sum's direction; with a moving one it has not, so there the sum itself is kept.
        """
        mean = seen.features.float().mean(dim=0)
        if self.scaled_momentum:
            self.mean_feature.mul_(scaled_momentum(ctx.lr)).add_(mean)
        else:
            self.mean_feature.lerp_(mean, 1 - self.momentum)

    def predict(self, ctx: ltbench.Context, output: ltbench.Output) -> Tensor:
        """Return the logits of what is left without the common direction, head by head, shape (B, C)."""
        classifier = ctx.classifier(MultiHeadClassifier)
        directions = classifier.directions(output.features)  # (B, K, d / K)
        common = classifier.directions(self.mean_feature[None])  # (1, K, d / K)
        cosines = (directions * common).sum(dim=2, keepdim=True)  # (B, K, 1)
        return classifier.score(directions - self.alpha * cosines * common)
