"""ResNets of basic blocks, and timm's that can be split."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones import basic_resnet, timm_family
from ltbench.backbones.basic_resnet import BasicResNet, ProjectedBlock
from ltbench.backbones.request import BackboneRequest
from ltbench.errors import UserError
from ltbench.method.factories import BackboneFactory


def stage(blocks: int, first: int, width: int) -> int:
    """Return the parameters of a stage: two convolutions a block, and a 1 x 1 one where the width changes; norms have two."""
    projected = first * width + 2 * width if first != width else 0
    return 9 * first * width + (2 * blocks - 1) * 9 * width**2 + 2 * blocks * 2 * width + projected


@pytest.mark.parametrize(("name", "blocks", "stem"), [
    ("resnet10", (1, 1, 1, 1), 49 * 3 * 64 + 128),
    ("resnet18cifar", (2, 2, 2, 2), 9 * 3 * 64 + 128),
    ("resnet34cifar", (3, 4, 6, 3), 9 * 3 * 64 + 128),
])
def test_parameters_by_hand(name: str, blocks: tuple[int, int, int, int], stem: int) -> None:
    widths = ((64, 64), (64, 128), (128, 256), (256, 512))
    expected = stem + sum(stage(count, *pair) for count, pair in zip(blocks, widths, strict=True))
    backbone = basic_resnet.build(BackboneRequest(name, 3, 32))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == expected
    assert backbone.feature_dim == 512


def test_known_totals() -> None:
    """ResNet-18 on CIFAR-10 has 11,173,962 parameters with its classifier of 5,130, in the public codes."""
    assert sum(p.numel() for p in basic_resnet.build(BackboneRequest("resnet18cifar", 3, 32)).parameters()) == 11_173_962 - 5130


@pytest.mark.parametrize(("large", "size", "trunk", "last"), [(True, 64, 4, 2), (False, 32, 8, 4)])
def test_shapes(large: bool, size: int, trunk: int, last: int) -> None:
    backbone = BasicResNet((1, 1, 1, 1), large=large)
    maps = backbone.trunk(torch.randn(2, 3, size, size))
    assert maps.shape == (2, 256, trunk, trunk)
    assert backbone.last_stage(maps).shape == (2, 512, last, last)
    assert BasicResNet((1, 1, 1, 1), large=large, channels=1)(torch.randn(2, 1, size, size)).shape == (2, 512)


def test_forward_against_torchvision() -> None:
    """Copy the weights of torchvision's network of the same form, tensor by tensor."""
    from torchvision.models.resnet import BasicBlock, ResNet

    reference = ResNet(BasicBlock, [1, 1, 1, 1]).eval()
    reference.fc = nn.Identity()
    for part in reference.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    own = basic_resnet.build(BackboneRequest("resnet10", 3, 64)).eval()
    theirs, ours = list(reference.state_dict().values()), own.state_dict()
    assert [value.shape for value in theirs] == [value.shape for value in ours.values()]
    own.load_state_dict(dict(zip(ours, theirs, strict=True)))
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(own(images), reference(images), rtol=1e-4, atol=1e-5)


def test_block_by_hand() -> None:
    block = ProjectedBlock(2, 3, stride=2).eval()
    nn.init.zeros_(block.norm2.weight)  # nothing but the shortcut is left
    images = torch.rand(1, 2, 4, 4)
    weight = block.shortcut[0].weight[:, :, 0, 0]
    expected = torch.einsum("oc,bchw->bohw", weight, images[:, :, ::2, ::2]).relu()
    torch.testing.assert_close(block(images), expected / (1 + 1e-5) ** 0.5)


def test_initial_weights_are_kaiming_normal_by_fan_out() -> None:
    weight = BasicResNet((1, 1, 1, 1), large=False).last_stage[0].conv1.weight  # 256 -> 512
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)


def check_split(backbone: BasicResNet | timm_family.TimmResNet, size: int) -> None:
    images = torch.randn(2, 3, size, size)
    expert, narrow = backbone.make_last_stage(), backbone.make_last_stage(0.75)
    expert.load_state_dict(backbone.last_stage.state_dict())
    backbone.eval(), expert.eval()
    with torch.no_grad():
        maps = backbone.trunk(images)
        assert torch.equal(backbone.pool(expert(maps)), backbone(images))
        assert backbone.pool(narrow(maps)).shape == (2, round(0.75 * backbone.feature_dim))


@pytest.mark.parametrize("name", ["resnet10", "resnet18cifar"])
def test_last_stages_can_be_copied(name: str) -> None:
    check_split(basic_resnet.build(BackboneRequest(name, 3, 32)), 32)


def test_timms_resnets_can_be_split() -> None:
    backbone = timm_family.build(BackboneRequest("resnet18", 3, 64))
    assert isinstance(backbone, timm_family.TimmResNet)
    check_split(backbone, 64)
    names = {name for name, _ in backbone.named_parameters()}
    assert "model.layer4.0.conv1.weight" in names and not any(name.startswith(("trunk", "last_stage")) for name in names)
    factory = BackboneFactory("timm:resnet18", lambda: backbone)
    for stages, channels in ((1, 256), (2, 128), (3, 64)):
        maps = factory.trunk(stages)(torch.randn(1, 3, 64, 64))
        assert maps.shape[1] == channels
        assert factory.last_stage(0.5, stages)(maps).shape == (1, 256)


def test_experts_do_not_share_weights() -> None:
    backbone = timm_family.build(BackboneRequest("resnet18", 3, 32))
    assert isinstance(backbone, timm_family.TimmResNet)
    own = {parameter.data_ptr() for parameter in backbone.parameters()}
    experts = [backbone.make_last_stage(), backbone.make_last_stage()]
    pointers = [parameter.data_ptr() for expert in experts for parameter in expert.parameters()]
    assert len(set(pointers)) == len(pointers) and not own & set(pointers)


def test_others_of_timm_stay_whole() -> None:
    backbone = timm_family.build(BackboneRequest("mobilenetv3_small_050", 3, 32))
    assert not isinstance(backbone, timm_family.TimmResNet)
    with pytest.raises(UserError, match="backbone 'timm:mobilenetv3_small_050' cannot be split: it has no trunk"):
        BackboneFactory("timm:mobilenetv3_small_050", lambda: backbone).trunk()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width", "splits"), [
    ("resnet50", 2048, True), ("resnext50_32x4d", 2048, True), ("resnet101", 2048, True),
    ("swin_tiny_patch4_window7_224", 768, False),
])
def test_networks_of_the_papers_build_without_downloads(name: str, width: int, splits: bool,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    backbone = timm_family.build(BackboneRequest(name, 3, 224))
    assert backbone.feature_dim == width
    assert isinstance(backbone, timm_family.TimmResNet) == splits
    if isinstance(backbone, timm_family.TimmResNet):
        check_split(backbone, 64)


def test_unknown_form_is_refused() -> None:
    with pytest.raises(UserError, match="name must be one of resnet10, resnet18cifar, resnet34cifar, got 'resnet11'"):
        basic_resnet.build(BackboneRequest("resnet11", 3, 32))


def test_gradients_reach_every_parameter() -> None:
    backbone = BasicResNet((1, 1, 1, 1), large=False)
    loss: Tensor = F.mse_loss(backbone(torch.randn(4, 3, 16, 16)), torch.ones(4, 512))
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in backbone.parameters())
