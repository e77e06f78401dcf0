"""The settings of section 7 of Saadabadi et al. (2024), for its own method and for those that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ltbench

# d of the paper's headline on each dataset: half the classes on CIFAR-100 and ImageNet-200 (table 2), else as printed.
DIMENSIONS: Mapping[str, int] = {"cifar100": 50, "imagenet200": 100, "imagenet1k": 512, "cifar10-lt": 64, "svhn-lt": 64,
                                 "stl10-lt": 64, "cifar100-lt": 50, "imagenet-lt": 512}

_SGD: Mapping[str, Any] = {"optimizer": "sgd", "momentum": 0.9}
_SMALL: Mapping[str, Any] = {**_SGD, "batch_size": 128, "schedule": "step", "gamma": 0.1, "augmentation": ("crop", "flip")}
# Section 7.1; the public network convolves its shortcuts.
_BALANCED = {**_SMALL, "backbone": "resnet32conv", "epochs": 250, "lr": 0.01, "weight_decay": 1e-4, "milestones": (0.4, 0.8),
             "warmup": 0.0}
# Section 7.2; five epochs of warm-up as in the public code.
_LONG_TAILED = {**_SMALL, "backbone": "resnet32", "epochs": 200, "lr": 0.1, "weight_decay": 2e-4, "milestones": (0.8, 0.9),
                "warmup": 0.025}
_CIFAR100_LT = {**_LONG_TAILED, "backbone": "resnet32x2"}  # the public one: 32 channels, 128 features
_IMAGENET = {**_SGD, "backbone": "timm:resnet50", "epochs": 100, "batch_size": 1024, "lr": 0.5, "weight_decay": 2e-5,
             "schedule": "cosine", "warmup": 0.05}
# ImageNet-LT under section 7.2, whose random crop is of images that have no one size.
_IMAGENET_LT = {**_LONG_TAILED, "backbone": "timm:resnet50", "augmentation": ("random_resized_crop", "flip")}

# Table 3's other backbones, and what section 7.1 changes with them; elsewhere the ResNet-32 of the print, read plainly.
_BACKBONES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "imagenet1k": {"timm:resnet101": {}, "timm:swin_tiny_patch4_window7_224": {"optimizer": "adamw", "lr": 1e-3}},
    **{dataset: {"resnet32": {}} for dataset in ("cifar100", "imagenet200", "cifar100-lt")}}


def protocol(task: ltbench.Task) -> dict[str, Any] | None:
    """Return the changes to a dataset's common protocol; None where the paper has no row."""
    known = {"cifar100": _BALANCED, "imagenet200": _BALANCED, "imagenet1k": _IMAGENET, "imagenet-lt": _IMAGENET_LT,
             "cifar100-lt": _CIFAR100_LT, **dict.fromkeys(("cifar10-lt", "svhn-lt", "stl10-lt"), _LONG_TAILED)}
    found = known.get(task.dataset)
    return None if found is None else dict(found)


def of(task: ltbench.Task, hyperparameters: Mapping[str, Any] | None = None, *,
       weights: tuple[str, ...] = ("rw",)) -> ltbench.PaperSetting | None:
    """Return the setting of a first-stage method; None where the paper has no row.

    Args:
        task: The task.
        hyperparameters: Of the method, where they are not the defaults.
        weights: The methods that weigh classes on long-tailed sets.
    """
    changes = protocol(task)
    if changes is None:
        return None
    companions = ("mixup", *weights) if _long_tailed(task) else ("mixup",) if task.dataset == "imagenet1k" else ()
    alternatives = {"backbone": _BACKBONES[task.dataset]} if task.dataset in _BACKBONES else {}
    return ltbench.PaperSetting(protocol=changes, hyperparameters=hyperparameters or {}, companions=companions,
                                alternatives=alternatives)


def of_fixed(task: ltbench.Task, hyperparameters: Mapping[str, Any] | None = None) -> ltbench.PaperSetting | None:
    """Return the setting of a method with fixed prototypes: a batch norm and batch weights on long-tailed sets, else a sum."""
    own = {"head": "batch_norm", "weights": "batch"} if _long_tailed(task) else {"reduction": "sum"}
    return of(task, {**own, **(hyperparameters or {})}, weights=())


def _long_tailed(task: ltbench.Task) -> bool:
    return task.dataset.endswith("-lt")
