"""A backbone in parts, several times, and with the weights of the stage before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ltbench.backbones import timm_family
from ltbench.backbones.basic_resnet import BasicResNet
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.digits import DigitsNet
from ltbench.backbones.request import BackboneRequest
from ltbench.errors import UserError
from ltbench.method.factories import BackboneFactory

IMAGES = torch.randn(2, 3, 32, 32)


def networks() -> list[tuple[nn.Module, int]]:
    """Return networks of every family that can be split, and their last stages."""
    timm = timm_family.build(BackboneRequest("resnet18", 3, 32))
    return [(CifarResNet(8), 2), (BasicResNet((1, 1, 1, 1), large=False), 3), (DigitsNet(3), 2), (timm, 3)]


def test_parts_are_the_backbone_one_after_the_other() -> None:
    for network, most in networks():
        network.eval()
        make = BackboneFactory("some", lambda network=network: network)  # type: ignore[misc]
        expected = network(IMAGES)
        for stages in range(1, most + 1):
            parts = make.parts(stages)
            assert len(parts) == stages + 1
            torch.testing.assert_close(make.pooled(nn.Sequential(*parts))(IMAGES), expected)
            own = [parameter.data_ptr() for part in parts for parameter in part.parameters()]
            assert sorted(own) == sorted(parameter.data_ptr() for parameter in network.parameters())  # each once, and no other
        assert make.pooled(nn.Identity(), 7).feature_dim == 7 and make.pooled(nn.Identity()).feature_dim == make.feature_dim


def test_shapes_of_maps_by_hand() -> None:
    backbone = CifarResNet(8)
    before = copy.deepcopy(backbone.state_dict())
    make = BackboneFactory("resnet8", lambda: backbone, (3, 32, 32))
    assert make.map_shapes(2) == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert BackboneFactory("resnet8", lambda: backbone, (3, 28, 28)).map_shapes() == [(32, 14, 14), (64, 7, 7)]
    assert backbone.training and all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_another_shares_nothing_and_leaves_the_first_as_it_was() -> None:
    built: list[CifarResNet] = []

    def build() -> CifarResNet:
        built.append(CifarResNet(8))
        return built[-1]

    make = BackboneFactory("resnet8", build)
    other = make.another()
    assert built == [make.full(), other] and make.full() is not other


def test_last_stages_have_the_weights_of_the_stage_before() -> None:
    below = CifarResNet(8).eval()
    make = BackboneFactory("resnet8", lambda: copy.deepcopy(below), inherited=True)
    for stages in (1, 2):
        first, second = make.last_stage(stages=stages), make.last_stage(stages=stages)
        embedding: Tensor = first(make.trunk(stages)(IMAGES))
        torch.testing.assert_close(embedding, below(IMAGES))
        maps = make.last_stage(stages=stages, pooled=False)(make.trunk(stages)(IMAGES))
        torch.testing.assert_close(below.pool(maps), embedding)
        own = [p.data_ptr() for module in (first, second, make.full()) for p in module.parameters()]
        assert len(set(own)) == len(own)
    with pytest.raises(UserError, match="width of a last stage with given weights must be 1, got 0.5"):
        make.last_stage(0.5)


def test_last_stages_give_maps_where_they_are_to_be_pooled_later() -> None:
    make = BackboneFactory("resnet8", lambda: CifarResNet(8))
    for width, stages, channels in ((1.0, 1, 64), (0.5, 2, 32)):
        maps = make.last_stage(width, stages, pooled=False)(make.trunk(stages)(IMAGES))
        assert maps.shape[:2] == (len(IMAGES), channels) and maps.ndim == 4


def test_what_cannot_be_split_is_refused() -> None:
    whole = BackboneFactory("whole", lambda: nn.Linear(1, 1))
    for attempt in (whole.parts, whole.map_shapes, lambda: whole.parts(2), lambda: whole.pooled(nn.Identity())):
        with pytest.raises(UserError, match="backbone 'whole' cannot be split"):
            attempt()  # type: ignore[operator]
