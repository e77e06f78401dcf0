"""Global and local mixture consistency cumulative learning, GLMC (Du et al., 2023, section 3)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_mixing.patch import span

_CIFAR: dict[str, Any] = {
    "backbone": "resnet32x4", "epochs": 200, "batch_size": 64, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9,
    "weight_decay": 5e-3, "schedule": "cosine", "warmup": 0.0, "augmentation": ("crop", "flip"),
}
_LARGE: dict[str, Any] = {
    "backbone": "timm:resnext50_32x4d", "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "cosine",
    "augmentation": ("random_resized_crop", "jitter", "grayscale", "gaussian_blur", "flip"),
}
_PROTOCOLS: dict[str, dict[str, Any]] = {
    "cifar10-lt": _CIFAR, "cifar100-lt": _CIFAR,
    "imagenet-lt": {**_LARGE, "epochs": 135, "batch_size": 120, "weight_decay": 2e-4, "warmup": 10 / 135},
    "inat18": {**_LARGE, "epochs": 120, "batch_size": 128, "weight_decay": 1e-4, "warmup": 10 / 120},
}
# The public commands: dataset -> ratio -> resampling, reweighting, consistency.
_VALUES: dict[str, dict[float | None, tuple[float, float, float]]] = {
    "cifar10-lt": {100: (0.0, 1.2, 1.0), 50: (0.0, 1.2, 1.0), 10: (0.2, 1.0, 2.0)},
    "cifar100-lt": {100: (0.0, 1.2, 4.0), 50: (0.2, 1.2, 6.0), 10: (0.2, 1.2, 4.0)},
    "imagenet-lt": {None: (0.2, 1.0, 10.0)},
    "inat18": {None: (0.2, 1.0, 10.0)},
}


class TwoClassifiers(ltbench.Head):
    """Predict by a rebalanced classifier; a plain one beside it is for training.

    Args:
        classifier: The rebalanced one.
        plain: The other; both from features (B, d) to logits (B, C).
    """

    def __init__(self, classifier: nn.Module, plain: nn.Module) -> None:
        super().__init__(classifier)
        self.plain = plain

    def forward(self, embedding: Tensor) -> ltbench.Output:
        """Return the rebalanced logits; ``extra`` holds the ``plain`` ones, shape (B, C)."""
        output = super().forward(embedding)
        return dataclasses.replace(output, extra={"plain": self.plain(output.features)})


class MixtureConsistency(ltbench.Method):
    """Mix one view of a pair of images as a whole and the other by a patch; both mixtures must agree.

    A plain classifier and one whose labels are weighted by class learn from both mixtures, the second more and more.

    Args:
        resampling: How much more often an image of a small class is drawn as the partner: by 1 / n_k to this power.
        reweighting: r, labels of the rebalanced classifier weigh 1 / n_k^r.
        consistency: Weight of the agreement.
        alpha: Both parameters of the Beta distribution of the proportion.
        dim: Length of projections and predictions.
    """

    name = "glmc"
    stages = frozenset({1})
    leaves = "made"

    weights: Tensor

    def __init__(self, facts: ltbench.Facts, *,
                 resampling: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 1.0)] = 0.0,
                 reweighting: Annotated[ltbench.NonNegative, ltbench.Uniform(0.5, 1.5)] = 1.2,
                 consistency: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 10.0)] = 4.0, alpha: ltbench.Positive = 1.0,
                 dim: Annotated[int, ltbench.Interval(ge=1)] = 128) -> None:
        super().__init__(facts)
        self.resampling = resampling
        self.consistency = consistency
        self.alpha = alpha
        self.project = nn.Linear(facts.feature_dim, dim)
        self.predictor = nn.Linear(dim, dim)
        weights = (-reweighting * facts.log_counts).exp()
        self.register_buffer("weights", (weights / weights.mean()).float())  # (C,), 1 on average

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the public commands, for the ratios that they are of."""
        values = _VALUES.get(task.dataset, {}).get(task.imbalance_ratio)
        if values is None:
            return None
        return ltbench.PaperSetting(protocol=_PROTOCOLS[task.dataset], hyperparameters=dict(
            zip(("resampling", "reweighting", "consistency"), values, strict=True)))

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return both classifiers, as the stack makes them."""
        return TwoClassifiers(make.classifier(), make.classifier())

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return images as they come, and for each of them one to mix it with."""
        return {"main": ltbench.InstanceBalanced(), "partners": ltbench.ClassAware(self.resampling - 1)}

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        """Return the protocol's view twice."""
        return (ctx.protocol.augmentation, ctx.protocol.augmentation)

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch as it is: owning this says that no other method may mix what the step mixes already."""
        return batch

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        """Classify the global and the local mixture of one pair of images, and let each predict the other's projection."""
        main, partners = batches["main"], batches["partners"]
        share = ctx.draw_beta(self.alpha, self.alpha)  # lambda
        whole = share * main.views[0] + (1 - share) * partners.views[0]
        # Both mixtures have the labels of one pair, in one proportion: row i of both views shows the same two images.
        mixed = dataclasses.replace(main, images=whole, targets=[(main.labels, share), (partners.labels, 1 - share)])
        outputs = [ctx.forward(mixed), ctx.forward(self.patched(ctx, main.views[1], partners.views[1], share))]
        late = ctx.progress**2  # 1 - alpha of the paper
        rebalanced = dataclasses.replace(mixed, targets=[(labels, part * self.weights[labels]) for labels, part in mixed.targets])
        plain = sum_of([ctx.loss(output.extra["plain"], mixed) for output in outputs])
        weighted = sum_of([ctx.loss(output.logits, rebalanced) for output in outputs])
        projections = [self.project(output.features) for output in outputs]
        predictions = [self.predictor(projection) for projection in projections]
        agreement = sum_of([F.cosine_similarity(prediction, other.detach(), dim=1).mean()
                            for prediction, other in zip(predictions, reversed(projections), strict=True)])
        loss = (1 - late) * plain + late * weighted - self.consistency * agreement
        return ltbench.Step(loss, outputs[0], mixed, logs={"plain": plain, "rebalanced": weighted, "agreement": agreement})

    def patched(self, ctx: ltbench.Context, images: Tensor, others: Tensor, share: float) -> Tensor:
        """Return images (B, channels, H, W) with a patch of others', of about 1 - ``share`` of their area."""
        height, width = images.shape[-2:]
        side = math.sqrt(1 - share)
        rows, columns = span(height, side, ctx.generator, up=True), span(width, side, ctx.generator, up=True)
        images = images.clone()
        images[..., rows, columns] = others[..., rows, columns]
        return images


def sum_of(parts: list[Tensor]) -> Tensor:
    """Return the sum of scalars."""
    return cast(Tensor, sum(parts))
