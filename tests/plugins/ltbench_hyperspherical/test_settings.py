from __future__ import annotations

import pytest

from ltbench.planning.papers import PaperStage, apply_papers
from ltbench.registry.discovery import load_registry
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.training.schedules import for_stage

REGISTRY = load_registry(strict=False)
LONG_TAILED = {"cifar10-lt": 64, "cifar100-lt": 50, "svhn-lt": 64, "stl10-lt": 64, "imagenet-lt": 512}


def stages(text: str, dataset: str, backbone: str | None = None) -> list[PaperStage]:
    ratio = 100.0 if dataset in LONG_TAILED and dataset != "imagenet-lt" else None
    task = Task(dataset, ratio, track="paper")
    return apply_papers(text, task, REGISTRY, {}, asked={} if backbone is None else {"backbone": backbone})


@pytest.mark.parametrize(("dataset", "dim"), LONG_TAILED.items())
def test_long_tailed(dataset: str, dim: int) -> None:
    (stage,) = stages("hyperspherical", dataset)
    assert {choice.method.name for choice in stage.choices} == {"hyperspherical", "mixup"}
    assert {"dim": dim} == {key: choice.values[key] for choice in stage.choices for key in ("dim",) if key in choice.values}
    stated = {key: stage.protocol[key] for key in ("epochs", "lr", "batch_size", "momentum", "weight_decay", "schedule", "gamma")}
    assert stated == {"epochs": 200, "lr": 0.1, "batch_size": 128, "momentum": 0.9, "weight_decay": 2e-4, "schedule": "step",
                      "gamma": 0.1}
    assert [milestone * 200 for milestone in stage.protocol["milestones"]] == [160, 180]
    assert stage.protocol["warmup"] * 200 == 5
    (own,) = (choice.values for choice in stage.choices if choice.method.name == "hyperspherical")
    assert (own["head"], own["weights"], own["reduction"]) == ("batch_norm", "batch", "mean")
    imagenet = dataset == "imagenet-lt"
    assert stage.protocol["backbone"] == {"imagenet-lt": "timm:resnet50", "cifar100-lt": "resnet32x2"}.get(dataset, "resnet32")
    assert stage.protocol["augmentation"] == ("random_resized_crop" if imagenet else "crop", "flip")


@pytest.mark.parametrize(("dataset", "dim"), [("cifar100", 50), ("imagenet200", 100)])
def test_balanced(dataset: str, dim: int) -> None:
    (stage,) = stages("hyperspherical", dataset)
    (choice,) = stage.choices
    assert choice.values["dim"] == dim
    assert (choice.values["head"], choice.values["weights"], choice.values["reduction"]) == ("linear", "none", "sum")
    assert (stage.protocol["backbone"], stage.protocol["warmup"]) == ("resnet32conv", 0)
    (stage,) = stages("hyperspherical", dataset, "resnet32")
    assert stage.protocol["backbone"] == "resnet32"
    assert (stage.protocol["epochs"], stage.protocol["lr"], stage.protocol["weight_decay"]) == (250, 0.01, 1e-4)
    assert [milestone * 250 for milestone in stage.protocol["milestones"]] == [100, 200]
    assert stage.protocol["augmentation"] == ("crop", "flip")


@pytest.mark.parametrize(("backbone", "optimizer", "rate"), [
    (None, "sgd", 0.5), ("timm:resnet101", "sgd", 0.5), ("timm:swin_tiny_patch4_window7_224", "adamw", 1e-3)])
def test_imagenet(backbone: str | None, optimizer: str, rate: float) -> None:
    (stage,) = stages("hyperspherical", "imagenet1k", backbone)
    assert {choice.method.name for choice in stage.choices} == {"hyperspherical", "mixup"}
    protocol = Protocol("common", "x", 1).replace(**stage.protocol)
    assert (protocol.backbone, protocol.optimizer, protocol.lr) == (backbone or "timm:resnet50", optimizer, rate)
    assert (protocol.epochs, protocol.batch_size, protocol.weight_decay, protocol.schedule) == (100, 1024, 2e-5, "cosine")
    assert protocol.warmup * protocol.epochs == pytest.approx(5)


def test_trained_prototypes_train_as_long_as_what_they_come_from() -> None:
    first, second = stages("hyperspherical_psc", "cifar100")
    assert [choice.method.name for choice in (*first.choices, *second.choices)] == ["psc", "hyperspherical_psc"]
    assert (first.choices[0].values["normalize"], second.choices[0].values["reduction"]) == (True, "sum")
    protocol = Protocol("common", "x", 1).replace(**second.protocol)
    assert (protocol.stage2_draws, protocol.stage2_batch_size, protocol.stage2_lr, protocol.stage2_weight_decay) \
        == (250, 128, 0.01, 1e-4)
    assert (protocol.stage2_schedule, protocol.milestones, protocol.gamma) == ("step", (0.4, 0.8), 0.1)
    assert first.protocol["epochs"] == 250
    assert first.protocol["augmentation"] == second.protocol["augmentation"] == ("crop", "flip")
    factors = [for_stage(protocol, 2, 250)(epoch) for epoch in (0, 99, 100, 199, 200, 249)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(("method", "dataset", "dim"), [
    ("psc", "cifar100", None), ("psc", "imagenet-lt", None), ("etf", "cifar100", None), ("etf", "cifar100-lt", 128),
    ("etf", "imagenet-lt", 4096), ("etf", "svhn-lt", 64), ("hpn", "imagenet200", None)])
def test_rivals_stand_on_the_same_terms(method: str, dataset: str, dim: int | None) -> None:
    (own,), (rival,) = stages("hyperspherical", dataset), stages(method, dataset)
    assert own.protocol == rival.protocol
    weights = {"rw"} if method == "psc" and dataset.endswith("-lt") else set()
    assert {c.method.name for c in rival.choices} - {method} == {"mixup"} & {c.method.name for c in own.choices} | weights
    (values,) = (choice.values for choice in rival.choices if choice.method.name == method)
    assert values["dim"] == dim
    if method == "psc":
        assert (values["normalize"], values["scale"]) == (True, 1.0)
    else:
        (ours,) = (choice.values for choice in own.choices if choice.method.name == "hyperspherical")
        assert all(values[name] == ours[name] for name in ("head", "weights", "reduction"))


@pytest.mark.parametrize("method", ["hyperspherical", "hyperspherical_psc", "psc", "etf", "hpn"])
def test_no_setting_where_the_paper_has_no_row(method: str) -> None:
    assert REGISTRY.methods.get(method).load().paper(Task("digits-lt", 20.0, track="paper")) is None
