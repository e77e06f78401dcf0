"""The number of parts of a batch stands in the keys of what depends on it, and in no other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ltbench.backbones.request import BackboneRequest
from ltbench.data.digits import DigitsLT
from ltbench.planning.plan import plan_run
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.specs import BackboneSpec
from ltbench.terms.task import Task
from ltbench.testing import scene


class Dropping(nn.Module):
    """Drop a part of the embedding, or nothing."""

    feature_dim = 64

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(p)


def dropping(request: BackboneRequest) -> nn.Module:
    return Dropping(0.5)


def keeping(request: BackboneRequest) -> nn.Module:
    return Dropping(0.0)


def reading(request: BackboneRequest) -> nn.Module:
    """Need the numbers of its weights, which a plan has not."""
    module = Dropping(0.0)
    module.scale = float(torch.ones(1))
    return module


class Networks:
    @hookimpl
    def ltbench_backbones(self) -> list[BackboneSpec]:
        return [BackboneSpec(f"cut_{name}", f"{__name__}:{name}", "of the tests") for name in ("dropping", "keeping", "reading")]


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = load_registry(strict=False)
    registry.add(Networks(), PluginInfo("networks", "networks", "0"))
    return registry


def keys(text: str, backbone: str, registry: Registry, accumulation: int = 1) -> list[str]:
    protocol = scene.PROTOCOL.replace(backbone=backbone)
    plan = plan_run(text, Task("digits-lt", 20.0), protocol, registry, DigitsLT(), accumulation=accumulation)
    return [stage.key for stage in plan.stages]


@pytest.mark.parametrize(("backbone", "depends"), [("digits", True), ("cut_dropping", True), ("cut_reading", True),
                                                   ("cut_keeping", False)])
def test_batch_norm_and_dropout_see_a_part_at_a_time(backbone: str, depends: bool, registry: Registry) -> None:
    drawn = torch.get_rng_state()
    first = [keys("ce", backbone, registry, parts) for parts in (1, 2, 3)]
    assert len({key for (key,) in first}) == (3 if depends else 1)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_later_stage_depends_on_parts_if_its_backbone_learns_or_its_method_says_so(registry: Registry) -> None:
    whole, cut = (keys("ce/crt", "cut_keeping", registry, parts) for parts in (1, 2))
    assert whole == cut
    for text, which in (("nc/crt", 0), ("ce/dro_lt_public", 1), ("dro_lt+drw/ncm", 0)):
        whole, cut = (keys(text, "cut_keeping", registry, parts) for parts in (1, 2))
        assert [one != other for one, other in zip(whole, cut, strict=True)] == [which == 0, True]
    # Drifting statistics of a batch norm see parts too; closed forms see none, but stand on what did.
    below = keys("ce", "digits", registry, 2)[0]
    for text in ("ce/crt", "ce/crt(batch_norm_drift=true)", "ce/ncm"):
        whole, cut = (keys(text, "digits", registry, parts) for parts in (1, 2))
        assert cut[0] == below and cut[1] != whole[1]


def test_what_only_predicts_has_the_key_below_it(registry: Registry) -> None:
    assert len(set(keys("ce/post_la", "digits", registry, 2))) == 1
