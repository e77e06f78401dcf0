"""What the card says of public configurations, against these: every field that a source states, with the file that states it."""

from __future__ import annotations

from typing import Any

import pytest

from ltbench.method import hyperparameters
from ltbench.terms.task import Task
from tests.support.methods import named

MARGIN = {"epochs": 200, "batch_size": 128, "lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "warmup": 5 / 200,
          "schedule": "step", "milestones": (160 / 200, 180 / 200), "gamma": 0.01, "augmentation": ("crop", "flip")}
SETTINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vs", MARGIN, {"gamma": 0.3, "tau": 1.0}),  # orparask/VS-Loss, class_imbalance/train.py and losses.py
    ("cdt", MARGIN, {"gamma": 0.2}),  # zhangyongshun/BagofTricks-LT, configs/cao_cifar/re_weighting/cdt/cifar100_im100.yaml
    # pseulki/IB-Loss, cifar_train.py: x .01 from the 101st epoch on, then as the others
    ("ib", {**MARGIN, "milestones": (100 / 200, 160 / 200, 180 / 200)}, {"alpha": 1000.0, "start": 100 / 200, "balance": True}),
    # Keke921/GCLLoss, cifar_train_backbone.py
    ("gcl", {**MARGIN, "batch_size": 64, "gamma": 0.1}, {"amplitude": 0.5, "scale": 30.0, "margin": 0.0, "noise": "absolute"}),
    # lilydedbb/ARBLOSS, config/cifar100/cifar100_imb001_arbloss.yaml and train_stage1.py: its second drop is at the 241st of 200
    ("arb", {**MARGIN, "milestones": (160 / 200,), "gamma": 0.1}, {"counts": "batch"}),
    # jiequancui/ResLT, CIFAR/sh/CIFAR100/CIFAR100LT_imf0.01_resnet32sx1_beta0.9950.sh and cifarTrain_reslt_cifar100.py
    ("reslt", {**MARGIN, "weight_decay": 5e-4, "gamma": 0.1}, {"beta": 0.995, "medium_from": 0.35, "tail_from": 0.7}),
    # tkasarla/max-separation-as-inductive-bias, LT_CIFAR/train_ltcifar.py and README
    ("max_separation", {"epochs": 200, "batch_size": 512, "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "warmup": 0.0,
                        "schedule": "cosine", "backbone": "resnet34cifar", "augmentation": ("crop", "flip")}, {"radius": 0.1}),
]


@pytest.mark.parametrize(("name", "protocol", "values"), SETTINGS, ids=[name for name, _, _ in SETTINGS])
def test_paper_settings_are_the_public_ones(name: str, protocol: dict[str, Any], values: dict[str, Any]) -> None:
    method = named(name)
    setting = method.paper(Task("cifar100-lt", 100.0))
    assert setting is not None
    assert {field: setting.protocol.get(field) for field in protocol} == protocol
    own = hyperparameters.resolve(method, setting.hyperparameters)
    assert {option: own[option] for option in values} == values
    assert method.paper(Task("imagenet-lt", None)) is None
