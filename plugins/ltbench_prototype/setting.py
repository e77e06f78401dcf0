"""How Sharma et al. (2023, section 4.3) train, on the datasets of their tables; every method here refers to it."""

from __future__ import annotations

from typing import Any

import ltbench

# Backbone and batch of the first stage. No batch is printed for prototypes: they take the same.
_DATASETS = {"cifar100-lt": ("resnet32", 64), "imagenet-lt": ("timm:resnext50_32x4d", 64), "inat18": ("timm:resnet50", 512)}
_SAMPLES = 50_000  # what the public code calls an epoch


def setting(task: ltbench.Task, *, public: bool = False) -> ltbench.PaperSetting | None:
    """Return the setting on a dataset, or None.

    Args:
        task: The task.
        public: Whether draws and evaluation are those of the public code, which is for CIFAR-100; its backbone is the
            alternative one.
    """
    if task.dataset not in _DATASETS or (public and task.dataset != "cifar100-lt"):
        return None
    backbone, batch_size = _DATASETS[task.dataset]
    cifar = task.dataset == "cifar100-lt"
    crop = "crop" if cifar else "random_resized_crop"  # files have no one size
    first: dict[str, Any] = {"backbone": backbone, "epochs": 200, "batch_size": batch_size, "optimizer": "sgd", "lr": 0.01,
                             "momentum": 0.9, "schedule": "cosine", "warmup": 0.0, "augmentation": (crop, "flip")}
    later: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "stage2_draws": 1.0, "stage2_batch_size": batch_size,
                             "stage2_schedule": "constant", "augmentation": (crop, "flip", "autoaugment", "cutout")}
    if public:
        first["eval_flip"] = later["eval_flip"] = True
        later["stage2_samples"] = _SAMPLES
    own = {"inputs": "images", **({"batch_norm_drift": True} if public else {})}
    return ltbench.PaperSetting(protocol=later, hyperparameters=own, stage1="wd", stage1_protocol=first,
                                alternatives={"backbone": ("resnet34cifar",)} if cifar else {})
