from __future__ import annotations

import pytest

from ltbench.planning.papers import apply_papers
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task
from ltbench_ncm.ncm import NearestClassMean
from ltbench_ncm.setting import setting
from tests.support.methods import named


def stages(text: str, dataset: str, paper: str | None = None) -> list[tuple[str, object]]:
    task = Task(dataset, 100.0, track="paper")
    return [(stage.text, stage.protocol.get("backbone"))
            for stage in apply_papers(text, task, load_registry(strict=False), {}, paper=paper)]


@pytest.mark.parametrize(("dataset", "backbone"), [("cifar10-lt", "resnet32"), ("cifar100-lt", "resnet32"),
                                                   ("cifar20-lt", "resnet32"), ("imagenet-lt", "resnet10")])
def test_backbones(dataset: str, backbone: str) -> None:
    found = setting(Task(dataset, 100.0))
    assert found is not None
    assert found.stage1_protocol == {"backbone": backbone, "optimizer": "sgd", "schedule": "cosine"}
    assert found.protocol == {**found.stage1_protocol, "momentum": 0.9, "stage2_schedule": "cosine"}
    assert found.stage1 == "ce"
    assert setting(Task("digits-lt", 20.0)) is None


def test_what_stands_on_what() -> None:
    plain, adjusted, several = (f"{name}(inputs=images)" for name in ("lncm", "lncm_la", "multi_ncm"))
    for dataset, backbone in (("cifar100-lt", "resnet32"), ("imagenet-lt", "resnet10")):
        assert stages("lncm_la", dataset) == [("ce", backbone), (adjusted, backbone)]
        assert stages("multi_ncm", dataset) == [("ce", backbone), (plain, backbone), (several, backbone)]
        # Its centroids are those learned without logit adjustment.
        assert [text for text, _ in stages("multi_ncm_la", dataset)] == ["ce", plain, "multi_ncm_la(inputs=images)"]
        assert stages("ce/bn_stats/lncm", dataset) == [("ce", backbone), ("bn_stats", backbone), (plain, backbone)]
        assert stages("ce/crt", dataset, paper="lncm") == [("ce", backbone), ("crt", backbone)]  # the row "Decoupling"
        assert stages("ce", dataset, paper="lncm") == [("ce", backbone)]  # "Softmax"
    assert named("multi_ncm_la").paper(Task("cifar10-lt", 10.0)).stage1 == "lncm"


def test_the_plain_ncm_follows_this_paper_and_another_on_demand() -> None:
    assert NearestClassMean.paper(Task("cifar100-lt", 100.0)) == setting(Task("cifar100-lt", 100.0))
    assert stages("ncm", "cifar100-lt") == stages("ce/ncm", "cifar100-lt", paper="lncm")
    assert [text for text, _ in stages("wd/ncm", "cifar100-lt", paper="prototype")] == ["wd", "ncm"]
