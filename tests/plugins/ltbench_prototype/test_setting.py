"""The paper track: the settings of section 4.3 and of the public code, and that the rows of a table share a first stage."""

from __future__ import annotations

from pathlib import Path

import pytest

import ltbench
from ltbench.cli.main import main
from ltbench.data.cifar import Cifar100LT
from ltbench.method.contract import PaperSetting
from ltbench.planning.plan import RunPlan, plan_run
from ltbench.registry.discovery import load_registry
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.training.budget import budget_of
from ltbench_prototype.setting import setting

REGISTRY = load_registry(strict=False)
TRAIN_IMAGES = 10_847  # CIFAR-100 at ratio 100


def plan(text: str, paper: str | None = None, ratio: float = 100.0, **asked: object) -> RunPlan:
    task = Task("cifar100-lt", ratio, track="paper", protocol="common")
    return plan_run(text, task, Cifar100LT.protocols["common"], REGISTRY, Cifar100LT(), paper=paper, asked=asked)


def setting_of(dataset: str, *, public: bool = False) -> PaperSetting:
    found = setting(Task(dataset, None), public=public)
    assert found is not None
    return found


@pytest.mark.parametrize(("dataset", "backbone", "batch_size"), [
    ("cifar100-lt", "resnet32", 64), ("imagenet-lt", "timm:resnext50_32x4d", 64), ("inat18", "timm:resnet50", 512)])
def test_section_4_3(dataset: str, backbone: str, batch_size: int) -> None:
    found = setting_of(dataset)
    first, later = found.stage1_protocol, found.protocol
    assert (first["backbone"], first["epochs"], first["batch_size"]) == (backbone, 200, batch_size)
    assert (first["lr"], first["momentum"], first["schedule"], first["warmup"]) == (0.01, 0.9, "cosine", 0.0)
    assert (later["stage2_draws"], later["momentum"], later["stage2_schedule"]) == (1.0, 0.9, "constant")
    assert later["stage2_batch_size"] == batch_size  # none is printed: the first stage's
    crop = "crop" if dataset == "cifar100-lt" else "random_resized_crop"
    assert first["augmentation"] == (crop, "flip")
    assert later["augmentation"] == (crop, "flip", "autoaugment", "cutout")
    assert found.stage1 == "wd" and found.hyperparameters == {"inputs": "images"}
    assert "eval_flip" not in later and "stage2_samples" not in later


def test_no_setting_elsewhere() -> None:
    for dataset in ("digits-lt", "cifar10-lt", "cifar100", "places-lt"):
        assert setting(Task(dataset, None)) is None
    for dataset in ("imagenet-lt", "inat18"):  # the public code is for CIFAR-100
        assert setting(Task(dataset, None), public=True) is None


@pytest.mark.parametrize("name", ["pc", "pc_cdt", "pc_la", "prototype"])
def test_a_name_alone_stands_on_tuned_weight_decay(name: str) -> None:
    found = plan(name)
    assert str(found.expression) == f"wd/{name}(inputs=images)"
    first, later = (stage.protocol for stage in found.stages)
    assert first == Protocol("paper", "resnet32", 200, batch_size=64, lr=0.01, warmup=0.0, weight_decay=5e-3)
    assert budget_of(later, 2, TRAIN_IMAGES).draws == TRAIN_IMAGES and budget_of(later, 2, TRAIN_IMAGES).epochs == 1
    assert found.stages[1].trial.inputs == "images" and not later.eval_flip


def test_rows_share_their_first_stage() -> None:
    first = plan("prototype").stages[0].key
    for text, paper in (("pc", None), ("pc_cdt", None), ("pc_la", None), ("prototype(distance=squared)", None),
                        ("prototype_public", None), ("wd", "prototype"), ("wd/ncm", "prototype"), ("wd/crt", "prototype"),
                        ("wd", "prototype_public"), ("wd/wd(weight_decay=0.1)+maxnorm", "maxnorm")):
        assert plan(text, paper).stages[0].key == first, text
    for representation in ("ce", "dro_lt"):
        keys = {plan(f"{representation}{later}", paper).stages[0].key for later, paper in (
            ("", "prototype"), ("/crt", "prototype"), ("/prototype", "prototype"), ("/wd(weight_decay=0.1)+maxnorm", "maxnorm"))}
        assert len(keys) == 1 and keys != {first}, representation


def test_the_backbone_of_the_public_code_may_be_asked_for() -> None:
    found = setting_of("cifar100-lt")
    assert found.alternatives == {"backbone": ("resnet34cifar",)}
    assert setting_of("imagenet-lt").alternatives == {}
    with pytest.raises(ltbench.UserError, match="must be one that its paper prints rows for"):
        plan("prototype", backbone="digits")


def test_public_code_draws_fifty_thousand_and_averages_over_the_mirror_image() -> None:
    for ratio, images in ((100.0, 10_847), (10.0, 19_573)):
        found = plan("prototype_public", ratio=ratio)
        budget = budget_of(found.stages[1].protocol, 2, images)
        assert abs(budget.epochs * budget.draws - 50_000) < budget.epochs
        assert found.stages[1].protocol.eval_flip and found.protocol.eval_flip
        assert found.stages[1].protocol.stage2_batch_size == 64
    assert plan("wd", "prototype_public").stages[-1].protocol.eval_flip
    assert plan("wd/ncm", "prototype_public").stages[-1].protocol.eval_flip


def test_draws_and_mirror_by_option() -> None:
    common = Cifar100LT.protocols["common"]
    task = Task("cifar100-lt", 100.0, protocol="common")

    def later(text: str) -> Protocol:
        return plan_run(text, task, common, REGISTRY, Cifar100LT()).stages[1].protocol

    asked = later("prototype(draws=50000,mirror=true)")
    assert (asked.stage2_samples, asked.eval_flip) == (50_000, True)
    budget = budget_of(asked, 2, TRAIN_IMAGES)
    assert (budget.epochs, budget.draws) == (5, 10_000)
    plain = later("prototype")
    assert (plain.stage2_samples, plain.eval_flip) == (None, False)
    assert "stage2_samples" not in plain.as_dict()  # results of before the field keep their keys
    assert budget_of(plain, 2, TRAIN_IMAGES).draws * budget_of(plain, 2, TRAIN_IMAGES).epochs == 10 * TRAIN_IMAGES


def test_a_run_on_digits_keeps_its_curve_and_its_overrides(tmp_path: Path) -> None:
    text = "ce/prototype(draws=192,mirror=true)"
    assert main(["run", "--protocol", "smoke", "--seeds", "0", "--out", str(tmp_path), "--cache", str(tmp_path / "cache"),
                 "--methods", f"{text},ce/prototype_public", "--threads", "1"]) == 0
    records = {record.expression: record for record in map(ltbench.read_record, tmp_path.glob("*.json"))}
    record = next(record for name, record in records.items() if "public" not in name)
    assert record.status == "completed"
    assert record.stages[1].protocol_overrides == {"stage2_samples": 192, "eval_flip": True}
    rows = [row for row in record.curve if row.stage == 2]
    assert [row.epoch for row in rows] == [0, 1, 2]  # 192 of 94 images are two passes
    assert all({"separation_all_euclidean", "separation_tail_cosine"} <= row.as_dict().keys() for row in rows)
    kept = ltbench.read_geometry(next(path for path in tmp_path.glob("*.json") if "public" not in path.name))
    assert kept["stage2.head.classifier.prototypes"].shape == kept["stage2.class_means"].shape
    assert not next(record for name, record in records.items() if "public" in name).stages[1].protocol_overrides
