from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.backbones import basic_resnet, cifar_resnet, conv_shortcuts, digits, timm_family
from ltbench.backbones.cifar_resnet import BasicBlock, CifarResNet
from ltbench.backbones.digits import DigitsNet
from ltbench.backbones.plugin import ltbench_backbones
from ltbench.backbones.request import BackboneRequest
from ltbench.errors import UserError
from ltbench.registry.specs import load_target


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# By hand for depth 6 n + 2 and width w: stem 27 w + 2 w; stage 1 2 n convolutions w -> w; stage 2 one w -> 2 w and 2 n - 1
# 2 w -> 2 w; stage 3 likewise; each convolution has 9 in out weights and its norm 2 out. ResNet-32, w = 16:
# 464 + 10 * 2336 + (4672 + 9 * 9280) + (18560 + 9 * 36992) = 463504, and 464154 with the 650 of a classifier of ten classes.
@pytest.mark.parametrize(("name", "parameters"), [
    ("resnet20", 464 + 6 * 2336 + 4672 + 5 * 9280 + 18560 + 5 * 36992),
    ("resnet32", 463_504),
    ("resnet44", 464 + 14 * 2336 + 4672 + 13 * 9280 + 18560 + 13 * 36992),
    ("resnet56", 464 + 18 * 2336 + 4672 + 17 * 9280 + 18560 + 17 * 36992),
    # Twin: stage 3 has 4 blocks and two more side by side, (18560 + 7 * 36992) + 2 * 2 * 36992.
    ("resnet32twin", 537_488),
    ("resnet32x2", 928 + 10 * 9280 + (18560 + 9 * 36992) + (73984 + 9 * 147712)),
])
def test_parameters_by_hand(name: str, parameters: int) -> None:
    assert count(cifar_resnet.build(BackboneRequest(name, 3, 32))) == parameters


def test_convolved_shortcuts() -> None:
    backbone = conv_shortcuts.build(BackboneRequest("resnet32conv", 3, 32))
    assert count(backbone) == 463_504 + 4_672 + 18_560 == 486_736  # 3 x 3 convolutions 16 -> 32 and 32 -> 64, with their norms
    assert backbone(torch.randn(2, 3, 32, 32)).shape == (2, 64)
    assert count(backbone.make_last_stage(0.5)) < count(backbone.last_stage)
    first = backbone.trunk[0].weight
    assert float(first.std()) == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.15)  # fan-out, not fan-in's (2 / 27) ** .5
    with pytest.raises(UserError, match="image_size must be >= 4 for resnet32conv, got 2"):
        conv_shortcuts.build(BackboneRequest("resnet32conv", 3, 2))


def test_shapes_and_depth() -> None:
    backbone = CifarResNet(32)
    maps = backbone.trunk(torch.randn(2, 3, 32, 32))
    assert maps.shape == (2, 32, 16, 16)
    assert backbone.last_stage(maps).shape == (2, 64, 8, 8)
    assert backbone.feature_dim == 64
    assert sum(isinstance(part, nn.Conv2d) for part in backbone.modules()) == 31  # and the classifier makes 32
    assert not any(part.kernel_size == (1, 1) for part in backbone.modules() if isinstance(part, nn.Conv2d))
    assert CifarResNet(8, width=32)(torch.randn(2, 3, 28, 28)).shape == (2, 128)


def test_forward_by_hand() -> None:
    """Compose the whole network from plain functions, slowly."""
    backbone = CifarResNet(14, channels=1).eval()
    for part in backbone.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -1, 1)
    state = backbone.state_dict()

    def normed(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        x = F.conv2d(x, state[f"{conv}.weight"], stride=stride, padding=1)
        keys = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (state[f"{norm}.{key}"].view(1, -1, 1, 1) for key in keys)
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    images = torch.randn(3, 1, 16, 16)
    x = normed(images, "trunk.0", "trunk.1").relu()
    for stage, stride in (("trunk.3", 1), ("trunk.4", 2), ("last_stage", 2)):
        for block in range(2):
            step = stride if block == 0 else 1
            inner = normed(x, f"{stage}.{block}.conv1", f"{stage}.{block}.norm1", step).relu()
            inner = normed(inner, f"{stage}.{block}.conv2", f"{stage}.{block}.norm2")
            shortcut = torch.zeros_like(inner)  # option A: subsample, and zeros on both sides of the channels
            first = (inner.shape[1] - x.shape[1]) // 2
            shortcut[:, first:first + x.shape[1]] = x[:, :, ::step, ::step]
            x = (inner + shortcut).relu()
    torch.testing.assert_close(backbone(images), x.flatten(2).sum(2) / 16, rtol=1e-4, atol=1e-5)


def test_twin_blocks_read_the_same_maps() -> None:
    backbone = cifar_resnet.build(BackboneRequest("resnet32twin", 3, 32)).eval()
    images = torch.randn(2, 3, 32, 32)
    twin = backbone.last_stage[-1]
    assert isinstance(twin, cifar_resnet.Twin) and isinstance(twin.first, nn.Module)
    first, second = backbone(images).chunk(2, dim=1)
    assert backbone.feature_dim == 128 and first.shape == (2, 64) and not torch.allclose(first, second)
    twin.second.load_state_dict(twin.first.state_dict())
    first, second = backbone(images).chunk(2, dim=1)
    assert torch.equal(first, second)
    shallow = cifar_resnet.build(BackboneRequest("resnet8twin", 3, 32))
    assert shallow(images).shape == (2, 128)
    assert backbone.pool(backbone.make_last_stage(0.75)(backbone.trunk(images))).shape == (2, 96)


def test_initial_weights_are_kaiming_normal() -> None:
    backbone = CifarResNet(20)
    weight = backbone.last_stage[1].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)  # 36,864 draws: 0.4 % standard error
    assert weight.abs().max() > 3.5 * weight.std()  # a uniform draw would end at 1.73


def test_channels_last_and_train_mode() -> None:
    backbone, images = CifarResNet(8).to(memory_format=torch.channels_last), torch.randn(4, 3, 32, 32)
    plain = CifarResNet(8)
    plain.load_state_dict(backbone.state_dict())
    nhwc = images.to(memory_format=torch.channels_last)
    assert backbone.trunk(nhwc).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(backbone(nhwc), plain(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", [CifarResNet(8), DigitsNet(3)])
def test_last_stages_can_be_copied(backbone: CifarResNet | DigitsNet) -> None:
    maps = backbone.trunk(torch.randn(2, 3, 16, 16))
    expert, narrow = backbone.make_last_stage(), backbone.make_last_stage(0.75)
    expert.load_state_dict(backbone.last_stage.state_dict())
    images = torch.randn(2, 3, 16, 16)
    backbone.eval(), expert.eval()
    assert torch.equal(backbone.pool(expert(backbone.trunk(images))), backbone(images))
    assert backbone.pool(narrow(maps)).shape == (2, round(0.75 * backbone.feature_dim))


@pytest.mark.parametrize(("name", "largest"), [("resnet8", 2), ("resnet8twin", 2), ("digits", 2), ("resnet10", 3)])
def test_several_last_stages_can_be_copied(name: str, largest: int) -> None:
    build = {"digits": digits.build, "resnet10": basic_resnet.build}.get(name, cifar_resnet.build)
    backbone: Any = build(BackboneRequest(name, 3, 32)).eval()
    images = torch.randn(2, 3, 32, 32)
    for stages in range(1, largest + 1):
        ends = backbone.make_last_stage(1.0, stages).eval()
        own = nn.Sequential(*list(backbone.trunk)[len(backbone.trunk_of(stages)):])
        whole = [*own.parameters(), *backbone.last_stage.parameters()]
        buffers = [*own.buffers(), *backbone.last_stage.buffers()]
        assert [p.shape for p in ends.parameters()] == [p.shape for p in whole]
        with torch.no_grad():
            for mine, theirs in zip([*ends.parameters(), *ends.buffers()], [*whole, *buffers], strict=True):
                mine.copy_(theirs)
            assert torch.equal(backbone.pool(ends(backbone.trunk_of(stages)(images))), backbone(images))
            narrow = backbone.make_last_stage(0.75, stages).eval()
            assert narrow(backbone.trunk_of(stages)(images)).shape[1] == round(0.75 * backbone.feature_dim)
    for stages in (0, largest + 1):
        with pytest.raises(UserError, match=rf"must be in \[1, {largest}\], got {stages}"):
            backbone.trunk_of(stages)
        with pytest.raises(UserError, match=rf"must be in \[1, {largest}\], got {stages}"):
            backbone.make_last_stage(1.0, stages)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UserError, match=r"depth must be 6 n \+ 2 with n >= 1, got 33"):
        CifarResNet(33)
    with pytest.raises(UserError, match=r"out_channels must be >= in_channels \(32\)"):
        CifarResNet(8).make_last_stage(0.25)
    with pytest.raises(UserError, match="width must be >= 1, got 0"):
        CifarResNet(8, width=0)
    with pytest.raises(UserError, match="got 'resnext32'"):
        cifar_resnet.build(BackboneRequest("resnext32", 3, 32))
    with pytest.raises(UserError, match="image_size must be >= 4 for resnet20, got 2"):
        cifar_resnet.build(BackboneRequest("resnet20", 3, 2))
    with pytest.raises(UserError, match="channels must be >= 1, got 0"):
        BackboneRequest("resnet20", 0, 32)
    with pytest.raises(UserError, match="name must not be empty"):
        BackboneRequest("", 3, 32)


def test_odd_padding_goes_to_the_end() -> None:
    block = BasicBlock(2, 5).eval()
    nn.init.zeros_(block.norm2.weight)  # nothing but the shortcut is left
    x = torch.rand(1, 2, 4, 4)
    expected = torch.cat([torch.zeros(1, 1, 4, 4), x, torch.zeros(1, 2, 4, 4)], dim=1)
    assert torch.equal(block(x), expected)


def test_digits_net_learns_real_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    backbone = digits.build(BackboneRequest("digits", 1, 8))
    assert count(backbone) == 9 * 16 + 32 + 9 * 16 * 24 + 48 + 9 * 24 * 64 + 128  # 17,632
    model = nn.Sequential(backbone, nn.Linear(64, 10))
    train, test = torch.arange(1797) % 3 > 0, torch.arange(1797) % 3 == 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=54)
    for _ in range(3):
        order = train.nonzero().flatten()[torch.randperm(1198)]
        for batch in order[:1152].split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            rate.step()
    accuracy = (model.eval()(images[test]).argmax(1) == labels[test]).float().mean()
    assert accuracy > 0.92  # 0.940 to 0.950 over four seeds; one in ten by chance


@pytest.mark.parametrize(("name", "size", "channels", "width"), [
    ("resnet10t", 32, 3, 512),
    ("mobilenetv3_small_050", 32, 1, 1024),  # num_features says 288: its head has a hidden layer
    ("vit_tiny_patch16_224", 64, 3, 192),  # laid out for 224 pixels unless told otherwise
])
def test_timm_models(name: str, size: int, channels: int, width: int) -> None:
    before = None
    backbone = timm_family.build(BackboneRequest(name, channels, size))
    assert backbone.feature_dim == width and backbone.training
    for key, value in backbone.named_buffers():
        before = value if key.endswith("num_batches_tracked") else before
    assert before is None or int(before) == 0  # the trial image left no trace
    assert backbone(torch.randn(2, channels, size, size)).shape == (2, width)


def test_timm_mistakes_are_one_line() -> None:
    with pytest.raises(UserError, match="unknown timm model 'resnet5'; did you mean 'resnet50"):
        timm_family.build(BackboneRequest("resnet5", 3, 32))
    with pytest.raises(UserError, match="unknown timm model 'hf-hub:timm/resnet50'"):
        timm_family.build(BackboneRequest("hf-hub:timm/resnet50", 3, 32))
    with pytest.raises(UserError, match=r"timm:vit_tiny_patch16_224 cannot read images of 8 x 8 pixels: .+") as caught:
        timm_family.build(BackboneRequest("vit_tiny_patch16_224", 3, 8))
    assert "\n" not in str(caught.value)


def test_every_spec_builds_what_it_says() -> None:
    specs = {spec.name: spec for spec in ltbench_backbones()}
    assert {"digits", "timm:", "resnet20", "resnet32", "resnet32x2", "resnet32x4", "resnet44", "resnet56"} <= set(specs)
    for name, spec in specs.items():
        request = BackboneRequest("resnet10t" if name == "timm:" else name, 3, 32)
        backbone = load_target(spec.target)(request)
        assert f"{backbone.feature_dim} features" in spec.summary or name == "timm:"


def test_naming_backbones_imports_nothing_heavy() -> None:
    code = "import sys, ltbench.backbones.plugin as p; p.ltbench_backbones(); print(sorted({'torch', 'timm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
