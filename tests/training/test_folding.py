from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import ltbench
from ltbench.registry.discovery import load_registry
from ltbench.training.folding import fold_batch_norm


def images(size: int = 8, channels: int = 3) -> Tensor:
    return torch.randn(4, channels, size, size)


def seasoned(network: nn.Module) -> nn.Module:
    """Give every norm statistics and weights that it could have after a training."""
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for tensor in (part.running_mean, part.weight, part.bias):
                if tensor is not None:
                    nn.init.normal_(tensor, 0.5, 0.3)
            if part.running_var is not None:
                nn.init.uniform_(part.running_var, 0.5, 2)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules())


def test_by_hand() -> None:
    """3 x + 1, normalized: mean 2, variance 4 - eps, weight 6, bias 5; so 3 (3 x + 1 - 2) + 5 = 9 x + 2."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.5)).eval()
    for part, values in zip(network, ({"weight": 3, "bias": 1}, {"weight": 6, "bias": 5, "running_mean": 2, "running_var": 3.5}),
                            strict=True):
        for name, value in values.items():
            nn.init.constant_(getattr(part, name), value)
    folded = fold_batch_norm(network, lambda: torch.randn(2, 1, 3, 3))
    assert norms(folded) == 0 and folded[0].weight.item() == 9 and folded[0].bias.item() == 2  # type: ignore[index]
    assert norms(network) == 1 and network[0].weight.item() == 3


@pytest.mark.parametrize(("name", "size", "left"), [
    ("digits", 8, 0), ("resnet32", 32, 0), pytest.param("resnet10", 32, 0, marks=pytest.mark.slow),
    pytest.param("resnet18cifar", 32, 0, marks=pytest.mark.slow),
    pytest.param("timm:resnet18", 32, 0, marks=pytest.mark.slow),
    pytest.param("timm:resnext50_32x4d", 32, 0, marks=pytest.mark.slow),
    pytest.param("timm:mobilenetv3_small_050", 32, 34, marks=pytest.mark.slow),
])
def test_backbones(name: str, size: int, left: int) -> None:
    """MobileNet's norms hold an activation: they are of timm's own class and stay."""
    entry, member = load_registry().backbone(name)
    backbone = seasoned(entry.load()(ltbench.BackboneRequest(member, 3, size)))
    state = copy.deepcopy(backbone.state_dict())
    with torch.no_grad():
        folded, batch = fold_batch_norm(backbone, lambda: images(size)), images(size)
        assert norms(folded) == left and (folded is backbone) == (left > 0)
        expected, found = copy.deepcopy(backbone).double()(batch.double()), folded(batch)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())


def test_a_linear_layer() -> None:
    network = seasoned(nn.Sequential(nn.Flatten(), nn.Linear(12, 5, bias=False), nn.BatchNorm1d(5)))
    batch = images(2)
    folded = fold_batch_norm(network, lambda: images(2))
    assert norms(folded) == 0
    torch.testing.assert_close(folded(batch), network(batch))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.conv(maps))


class TwoReaders(Block):
    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv(maps)
        return self.norm(maps) + maps


class Twice(Block):
    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.conv(self.conv(maps)))


class Between(Block):
    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.conv(maps).relu())


class Other(Block):
    """The forward pass of a part is not what is called: only real images tell."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps)

    def unlike(self, maps: Tensor) -> Tensor:
        return self.conv(maps) if maps.sum() > 1e9 else self.conv(maps).relu()


class Values(nn.Module):
    """Look at values, which no trace can follow, and call a block in one of three ways."""

    def __init__(self, block: nn.Module, call: str) -> None:
        super().__init__()
        self.block, self.call = block, call

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps if maps.sum() > 0 else -maps
        return getattr(self.block, self.call)(maps)


class Activated(nn.BatchNorm2d):
    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps).relu()


class Drawing(Block):
    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps) + torch.rand(maps.shape)


class Keeping(Block):
    """Somebody may read the maps from here, and would read old ones if a copy had kept them."""

    kept: Tensor | None = None

    def forward(self, maps: Tensor) -> Tensor:
        self.kept = self.conv(maps)
        return self.norm(self.kept)


class Listing(Block):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, maps: Tensor) -> Tensor:
        self.seen.append(maps)
        return super().forward(maps)


class Counting(Block):
    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        self.calls.add_(1)
        return super().forward(maps)


class Uncopied(Block):
    def __deepcopy__(self, memo: object) -> Block:
        raise RuntimeError("only one of me")


def shared() -> nn.Module:
    norm = nn.BatchNorm2d(3)
    return nn.Sequential(nn.Conv2d(3, 3, 1), norm, nn.Conv2d(3, 3, 1), norm)


@pytest.mark.parametrize("network", [
    TwoReaders(), Twice(), Between(), Values(Other(), "unlike"), nn.Sequential(nn.Conv2d(3, 3, 1), Activated(3)), Drawing(),
    Keeping(), Listing(), Counting(), Uncopied(), shared(), nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)),
    nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
    nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)), nn.Conv2d(3, 3, 1),
], ids=lambda network: type(network).__name__)
def test_what_is_not_proven_is_left_alone(network: nn.Module) -> None:
    assert fold_batch_norm(seasoned(network), images) is network


def test_parts_of_what_cannot_be_traced_are_folded() -> None:
    network = seasoned(nn.Sequential(Values(Block(), "forward"), Block()))
    batch = images()
    folded = fold_batch_norm(network, images)
    assert norms(folded) == 0
    torch.testing.assert_close(folded(batch), network(batch))


def test_a_norm_in_training_mode_stays() -> None:
    network = seasoned(nn.Sequential(Block(), Block()))
    network[0].train()
    assert norms(fold_batch_norm(network, images)) >= 1


def test_hooks_are_called() -> None:
    network, seen = seasoned(Block()), []
    network.get_submodule("norm").register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    fold_batch_norm(network, images)(images())
    assert seen == [4]


def test_nothing_is_drawn() -> None:
    network, sample = seasoned(Drawing()), images()
    state = torch.get_rng_state()
    fold_batch_norm(network, lambda: sample)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_without_batch_norm_reads_no_image() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.GroupNorm(1, 3))

    def unread() -> Tensor:
        raise AssertionError

    assert fold_batch_norm(network, unread) is network


def test_numbers_that_are_none_are_left_alone() -> None:
    network = seasoned(Block())
    nn.init.constant_(network.get_parameter("conv.bias"), float("nan"))
    assert fold_batch_norm(network, images) is network
