"""Small methods, one for each way of combining, offered by a plugin that the tests register by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

import ltbench
from ltbench.backbones import plugin as backbones
from ltbench.data import plugin as data
from ltbench.registry.discovery import PluginInfo, Registry

ONE, TWO, BOTH = frozenset({1}), frozenset({2}), frozenset({1, 2})


class Base(ltbench.Method):
    """Be plain cross-entropy."""

    name = "base"
    stages = BOTH


class Margin(ltbench.Method):
    """Own the criterion and the classifier."""

    name = "margin"
    stages = ONE

    def __init__(self, facts: ltbench.Facts, *, margin: float = 0.5, mode: Literal["hard", "soft"] = "hard", steps: int = 3,
                 clip: float | None = None, smooth: bool = False, scales: tuple[float, ...] = (1.0, 2.0),
                 words: tuple[str, ...] = ()) -> None:
        super().__init__(facts)
        if margin < 0:
            raise ValueError(f"margin must be >= 0, got {margin}")
        self.margin = margin

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        return ltbench.PaperSetting(hyperparameters={"margin": 0.25, "steps": 9})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.multi_margin_loss(logits, labels, margin=self.margin, reduction="none")

    def make_classifier(self, feature_dim: int, num_classes: int) -> torch.nn.Module:
        return ltbench.CosineClassifier(feature_dim, num_classes)


class OtherLoss(ltbench.Method):
    """Own the criterion too."""

    name = "other_loss"
    stages = BOTH

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -logits.gather(1, labels[:, None])[:, 0]


class Weights(ltbench.Method):
    """Weigh classes."""

    name = "weights"
    stages = ONE

    def class_weights(self, ctx: ltbench.Context) -> Tensor:
        return 1 / ctx.class_counts.float()


class Shift(ltbench.Method):
    """Change predictions only."""

    name = "shift"
    stages = BOTH

    def __init__(self, facts: ltbench.Facts, *, tau: float = 1.0) -> None:
        super().__init__(facts)
        self.tau = tau

    def adjust_logits(self, ctx: ltbench.Context, logits: Tensor) -> Tensor:
        return logits + self.tau


class Tuned(ltbench.Method):
    """Change the protocol."""

    name = "tuned"
    stages = BOTH

    def protocol_overrides(self) -> Mapping[str, Any]:
        return {"weight_decay": 0.5}

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        return ltbench.PaperSetting(protocol={"lr": 0.01, "epochs": 7})


class Retrain(ltbench.Method):
    """Train a new head."""

    name = "retrain"
    stages = TWO
    inputs = "features"

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        return ltbench.PaperSetting(protocol={"stage2_draws": 1.0, "eval_flip": True}, companions=("shift",), stage1="tuned")


class Drift(ltbench.Method):
    """Train over images, in a later stage."""

    name = "drift"
    stages = TWO
    inputs = "images"
    backbone = "drifting"


class Under(ltbench.Method):
    """Be a later stage that another stands on, and have a paper with baselines, budgets and backbones."""

    name = "under"
    stages = TWO

    def __init__(self, facts: ltbench.Facts, *, scale: float = 1.0) -> None:
        super().__init__(facts)
        self.scale = scale

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        return ltbench.PaperSetting(protocol={"stage2_draws": 3.0}, hyperparameters={"scale": 5.0}, companions=("shift",),
                                    stage1_protocol={"lr": 0.3, "epochs": 90},
                                    alternatives={"epochs": (200,), "backbone": ("resnet20", "resnet44")})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.scale * torch.nn.functional.cross_entropy(logits, labels, reduction="none")


class Third(ltbench.Method):
    """Stand on another later stage where nothing is typed."""

    name = "third"
    stages = TWO
    below = "under"


class OtherThird(ltbench.Method):
    """Stand on the base."""

    name = "other_third"
    stages = TWO
    below = "base"


CLASSES = (Base, Margin, OtherLoss, Weights, Shift, Tuned, Retrain, Drift, Under, Third, OtherThird)


class Plugin:
    """Offer all of them."""

    @ltbench.hookimpl
    def ltbench_methods(self) -> list[ltbench.MethodSpec]:
        return [ltbench.MethodSpec(kind.name, f"tests.support.toys:{kind.__name__}", (kind.__doc__ or "").strip(), kind.stages,
                                   aliases=("soft_margin",) if kind is Margin else (), base=kind is Base) for kind in CLASSES]


def toy_registry() -> Registry:
    """Return a registry that holds the toys and the core's backbones, datasets and augmentations."""
    registry = Registry()
    registry.add(Plugin(), PluginInfo("toys", "toy-box", "1.0"))
    registry.add(backbones, PluginInfo("backbones", "ltbench", "1.0"))
    registry.add(data, PluginInfo("data", "ltbench", "1.0"))
    return registry
