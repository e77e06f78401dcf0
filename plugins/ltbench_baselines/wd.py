"""Weight decay tuned for long tails (Alshammari et al., 2022): the first stage of weight balancing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import ltbench


class WeightDecay(ltbench.Method):
    """Train with a weight decay ten times the usual: the classifier's weight vectors then stay small and nearly equal.

    Args:
        weight_decay: In place of the protocol's, on whatever the stage trains.
    """

    name = "wd"
    stages = frozenset({1, 2})

    def __init__(self, facts: ltbench.Facts, *,
                 weight_decay: Annotated[ltbench.NonNegative, ltbench.LogUniform(1e-4, 1e-1)] = 5e-3) -> None:
        super().__init__(facts)
        self.weight_decay = weight_decay

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting on CIFAR-100: 200 epochs at batch 64 and lr .01, cosine, crop and flip.

        The public demonstration trains a ResNet-34 for 320 epochs: these may be asked for.
        """
        if task.dataset != "cifar100-lt":
            return None
        protocol = {"epochs": 200, "batch_size": 64, "lr": 0.01, "momentum": 0.9, "schedule": "cosine", "warmup": 0.0,
                    "augmentation": ("crop", "flip")}
        return ltbench.PaperSetting(protocol=protocol, alternatives={"epochs": (320,), "backbone": ("resnet34cifar",)})

    def protocol_overrides(self) -> Mapping[str, Any]:
        """Return the weight decay."""
        return {"weight_decay": self.weight_decay}
