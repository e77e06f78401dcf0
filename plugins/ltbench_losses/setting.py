"""The terms on which these papers' public codes train on long-tailed CIFAR; most are built on that of Cao et al. (2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ltbench

_TERMS: Mapping[str, Any] = {
    "epochs": 200, "batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "warmup": 0.025, "schedule": "step",
    "milestones": (0.8, 0.9), "gamma": 0.01, "augmentation": ("crop", "flip"),
}


def on_cifar(task: ltbench.Task, hyperparameters: Mapping[str, Any] | None = None, *, companions: tuple[str, ...] = (),
             **changes: Any) -> ltbench.PaperSetting | None:
    """Return the setting of a paper; None off long-tailed CIFAR.

    Args:
        task: The task.
        hyperparameters: Where they are not the defaults.
        companions: Methods that the paper always adds.
        changes: Fields of the protocol that are not as in the margin loss's code.
    """
    if task.dataset not in ("cifar10-lt", "cifar100-lt"):
        return None
    return ltbench.PaperSetting(protocol={**_TERMS, **changes}, hyperparameters=hyperparameters or {}, companions=companions)
