"""What of a backbone is trained, what rests meanwhile, and how deep each parameter lies: of timm's models as they are."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.depth import depth_factors
from ltbench.backbones.tuning import rest, train_only
from ltbench.errors import UserError


def trained(network: nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_parts_of_a_transformer() -> None:
    vit = timm.create_model("test_vit", num_classes=0)
    names = {name for name, _ in vit.named_parameters()}
    assert trained(train_only(vit, "norm")) == {name for name in names if ".norm" in name or name.startswith("norm")}
    assert trained(train_only(vit, "bias")) == {name for name in names if name.endswith("bias")}
    assert "blocks.0.attn.qkv.bias" in trained(vit)
    assert trained(train_only(vit, "last")) == set()
    assert trained(train_only(vit, "all")) == names


def test_a_batch_norm_rests_with_its_scale_and_a_block_with_all_that_is_in_it() -> None:
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0, drop_rate=0.2)
    images = torch.randn(2, 3, 32, 32)

    def moved(part: str) -> set[str]:
        """Return the buffers that a pass in training mode changes."""
        train_only(model, part).train()
        rest(model)
        before = {name: value.clone() for name, value in model.named_buffers()}
        with torch.no_grad():
            model(images)
        return {name for name, value in model.named_buffers() if not torch.equal(value, before[name])}

    assert moved("last") == moved("bias") == set()
    assert moved("norm") == moved("all") == {name for name, _ in model.named_buffers()}
    train_only(model, "last").train()
    rest(model)
    assert not any(module.training for module in model.modules())  # no dropout either
    train_only(model, "bias").train()
    rest(model)
    assert model.training  # shifts are learned under dropout, as usual


def test_what_is_not_there_cannot_be_tuned() -> None:
    with pytest.raises(UserError, match="--tune norm must find something to train, but the backbone has nothing of it"):
        train_only(nn.Linear(2, 2), "norm")


@pytest.mark.parametrize("name", ["resnet10t", "test_vit", "tf_efficientnet_lite0", "convnext_atto"])
def test_rates_by_depth_are_timms_for_the_whole_model(name: str) -> None:
    """timm's groups are of a model with its classifier; ours of a backbone without, under a head of its own."""
    whole = timm.create_model(name, num_classes=10)
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    expected = {names[id(parameter)]: group["lr_scale"] for group in param_groups_layer_decay(whole, layer_decay=0.75)
                for parameter in group["params"]}
    backbone = nn.Sequential(timm.create_model(name, num_classes=0), nn.Linear(2, 2))  # what a method added
    factors = depth_factors(backbone, 0.75)
    found = {name: factors[id(parameter)] for name, parameter in backbone[0].named_parameters()}
    assert found.keys() <= expected.keys() and len(set(found.values())) > 3 and len(factors) == len(found)
    assert found == pytest.approx({name: expected[name] for name in found})


def test_layers_that_nobody_names() -> None:
    with pytest.raises(UserError, match="--layer-decay needs a backbone that is a whole model of timm"):
        depth_factors(CifarResNet(8), 0.5)
