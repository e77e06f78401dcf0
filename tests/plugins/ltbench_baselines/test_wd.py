from __future__ import annotations

import pytest

from ltbench.errors import UserError
from ltbench.planning.papers import apply_papers
from ltbench.registry.discovery import load_registry
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench_baselines.wd import WeightDecay
from tests.support.stages import facts


def test_overrides_the_weight_decay_only() -> None:
    protocol = Protocol("common", backbone="none", epochs=200)
    changed = protocol.replace(**WeightDecay(facts([9, 1])).protocol_overrides())
    assert changed.weight_decay == 0.005
    assert {**changed.as_dict(), "weight_decay": 5e-4, "name": "common"} == protocol.as_dict()
    assert WeightDecay(facts([9, 1]), weight_decay=0.1).protocol_overrides() == {"weight_decay": 0.1}


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="weight_decay must be >= 0, got -1"):
        WeightDecay(facts([9, 1]), weight_decay=-1)


@pytest.mark.parametrize("text", ["wd", "wd(weight_decay=0.1)+maxnorm"])
def test_the_public_demonstration_may_be_asked_for(text: str) -> None:
    def first(**asked: object) -> dict[str, object]:
        stages = apply_papers(text, Task("cifar100-lt", 100.0), load_registry(strict=False), {}, asked=asked,
                              base={"backbone": "resnet32"})
        return dict(stages[0].protocol)

    assert first()["epochs"] == 200 and "backbone" not in first()
    asked = first(epochs=320, backbone="resnet34cifar")
    assert (asked["epochs"], asked["backbone"], asked["lr"]) == (320, "resnet34cifar", 0.01)
    for refused in ({"epochs": 300}, {"backbone": "resnet32x2"}):
        with pytest.raises(UserError, match=r"must be one that its paper prints rows for \("):
            first(**refused)
