"""What the Learned NCM paper (section 5.2) says of its trainings; every method of it refers here."""

from __future__ import annotations

import ltbench

_BACKBONES = {"cifar10-lt": "resnet32", "cifar20-lt": "resnet32", "cifar100-lt": "resnet32", "imagenet-lt": "resnet10"}


def setting(task: ltbench.Task, stage1: str = "ce", *, learned: bool = False) -> ltbench.PaperSetting | None:
    """Return the paper's setting for a task, or None.

    Printed are the backbones, SGD with a cosine schedule, instance-balanced sampling first, class-balanced sampling and momentum
    .9 later. Epochs, batches, weight decay and augmentation are not, nor the first stage's rate: the common protocol's stand.

    Args:
        task: The task.
        stage1: What the method stands on.
        learned: Whether it takes steps: then on augmented images, as all learned later stages of papers do here.
    """
    if task.dataset not in _BACKBONES:
        return None
    first = {"backbone": _BACKBONES[task.dataset], "optimizer": "sgd", "schedule": "cosine"}
    return ltbench.PaperSetting(protocol={**first, "momentum": 0.9, "stage2_schedule": "cosine"}, stage1=stage1,
                                stage1_protocol=first, hyperparameters={"inputs": "images"} if learned else {})
