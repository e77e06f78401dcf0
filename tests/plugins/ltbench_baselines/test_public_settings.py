"""What cards say of public configurations, against these: every field that a source states, with the file that states it."""

from __future__ import annotations

from typing import Any

import pytest

from ltbench.method import hyperparameters
from ltbench.terms.task import Task
from tests.support.methods import named

CIFAR = {"epochs": 200, "augmentation": ("crop", "flip"), "momentum": 0.9, "warmup": 5 / 200, "schedule": "step"}
TDE = {**CIFAR, "lr": 0.2, "weight_decay": 5e-4, "batch_size": 256, "milestones": (120 / 200, 160 / 200), "gamma": 0.01,
       "backbone": "resnet32twin"}
TDE_LARGE = {"epochs": 90, "lr": 0.2, "weight_decay": 5e-4, "batch_size": 512, "schedule": "cosine", "warmup": 0.0,
             "momentum": 0.9, "backbone": "timm:resnext50_32x4d"}
RIDE_LARGE = {"epochs": 100, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step", "gamma": 0.1, "warmup": 5 / 100,
              "milestones": (60 / 100, 80 / 100)}
SETTINGS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    # KaihuaTang/Long-Tailed-Recognition.pytorch, classification/config: CIFAR*_LT/causal_norm_32.yaml, */causal_norm.yaml
    ("tde", "cifar100-lt", TDE, {"alpha": 1.5, "heads": 2, "scale": 16.0, "norm_margin": 1 / 32, "scaled_momentum": False}),
    ("tde", "cifar10-lt", TDE, {"alpha": 1.0, "scaled_momentum": False}),
    ("tde", "imagenet-lt", TDE_LARGE, {"alpha": 3.0, "scaled_momentum": True}),
    ("tde", "places-lt", TDE_LARGE, {"alpha": 3.0, "scaled_momentum": True}),
    # frank-xwang/RIDE-LongTailRecognition, configs/*_ride.json; Nesterov momentum is left out
    ("ride", "cifar100-lt", {**CIFAR, "lr": 0.1, "weight_decay": 5e-4, "batch_size": 128, "milestones": (160 / 200, 180 / 200),
                             "gamma": 0.01, "augmentation": ("crop", "flip", "rotation")},
     {"diversity": 0.45, "awareness": 0.05, "width": 0.75, "stages": 2, "aware_from": 0.8}),
    ("ride", "imagenet-lt", {**RIDE_LARGE, "lr": 0.1, "batch_size": 256, "backbone": "timm:resnext50_32x4d"},
     {"diversity": 0.2, "awareness": 0.02, "stages": 2}),
    ("ride", "inat18", {**RIDE_LARGE, "lr": 0.2, "batch_size": 512, "backbone": "timm:resnet50"},
     {"diversity": 0.2, "awareness": 0.015, "stages": 2}),
    # megvii-research/BBN, configs/cifar*.yaml
    *(("bbn", dataset, {**CIFAR, "lr": 0.1, "weight_decay": 2e-4, "batch_size": 128, "milestones": (120 / 200, 160 / 200),
                        "gamma": 0.01}, {}) for dataset in ("cifar10-lt", "cifar100-lt")),
    # dvirsamuel/DRO-LT, README and main.py
    ("dro_lt_public", "cifar100-lt", {"stage2_samples": 80 * 50_000, "stage2_batch_size": 128, "stage2_lr": 0.005,
                                      "stage2_schedule": "constant", "stage2_weight_decay": 1e-4}, {"temperature": 1.0}),
    # ShadeAlsha/LTR-weight-balancing, demo2: the second stage
    ("maxnorm", "cifar100-lt", {"stage2_draws": 10.0, "stage2_lr": 0.01, "stage2_weight_decay": 0.1, "stage2_batch_size": 64},
     {"radius_fraction": 0.1, "beta": 0.9999}),
    # Megvii-BaseDetection/DisAlign, classification on ImageNet-LT
    ("disalign", "imagenet-lt", {"stage2_draws": 10.0, "stage2_lr": 0.1, "stage2_weight_decay": 5e-4, "stage2_batch_size": 256,
                                 "stage2_schedule": "cosine"}, {"rho": 1.2}),
]


@pytest.mark.parametrize(("name", "dataset", "protocol", "values"), SETTINGS,
                         ids=[f"{name} {dataset}" for name, dataset, _, _ in SETTINGS])
def test_paper_settings_are_the_public_ones(name: str, dataset: str, protocol: dict[str, Any], values: dict[str, Any]) -> None:
    method = named(name)
    setting = method.paper(Task(dataset, 100.0 if dataset.startswith("cifar") else None))
    assert setting is not None
    assert {field: setting.protocol.get(field) for field in protocol} == protocol
    own = hyperparameters.resolve(method, setting.hyperparameters)
    assert {option: own[option] for option in values} == values
