"""The setting in which Cao et al. (2019, section 4) train on long-tailed CIFAR."""

from __future__ import annotations

import ltbench


def setting(task: ltbench.Task) -> ltbench.PaperSetting | None:
    """Return the setting: step decay by 0.01 at 160 and 180 of 200 epochs, weight decay 2e-4; None off CIFAR."""
    if task.dataset not in ("cifar10-lt", "cifar100-lt"):
        return None
    return ltbench.PaperSetting(protocol={
        "epochs": 200, "batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "warmup": 0.025,
        "schedule": "step", "milestones": (0.8, 0.9), "gamma": 0.01, "augmentation": ("crop", "flip"),
    })
