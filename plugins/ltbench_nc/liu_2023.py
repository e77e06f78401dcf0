"""How Liu et al. (2023) train: section 4.1.1 and table 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import ltbench


class Strength(NamedTuple):
    """Hold a row of table 1.

    Args:
        within: lambda_1.
        between: lambda_2.
        start: Where regularization starts, as a fraction of the 200 epochs.
    """

    within: float
    between: float
    start: float


_CIFAR10 = Strength(0.01, 0.1, 0.0)
_CIFAR100 = Strength(0.01, 0.5, 0.5)
TABLE_1 = {"cifar10": _CIFAR10, "cifar10-lt": _CIFAR10, "cifar100": _CIFAR100, "cifar100-lt": _CIFAR100,
           "imagenet-lt": Strength(0.05, 1.0, 0.5)}

# The paper mentions no warm-up; both branches of the public code have 5 epochs, of 200 here.
_EVERYWHERE = {"epochs": 200, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-3}
_CIFAR = {**_EVERYWHERE, "backbone": "resnet32", "batch_size": 128, "lr": 0.1, "schedule": "step", "milestones": (0.8, 0.9),
          "gamma": 0.1, "warmup": 0.025, "augmentation": ("crop", "flip")}
_IMAGENET = {**_EVERYWHERE, "backbone": "timm:resnext50_32x4d", "batch_size": 256, "lr": 0.05, "schedule": "cosine",
             "warmup": 0.025, "augmentation": ("random_resized_crop", "flip", "jitter", "randaugment")}


def setting(task: ltbench.Task, hyperparameters: dict[str, Any]) -> ltbench.PaperSetting:
    """Return the setting on a dataset of table 1; images are always mixed.

    Args:
        task: Its dataset is in ``TABLE_1``.
        hyperparameters: Of the method that asks.
    """
    cifar = task.dataset != "imagenet-lt"
    return ltbench.PaperSetting(protocol=_CIFAR if cifar else _IMAGENET, hyperparameters=hyperparameters, companions=("mixup",),
                                alternatives={"backbone": ("resnet18cifar",)} if cifar else {})
