from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import ltbench
from ltbench.backbones.cifar_resnet import CifarResNet
from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_family import build
from ltbench.cli.main import main
from ltbench.method.factories import Head
from ltbench.method.stack import Stack
from ltbench.results import records
from ltbench.training.engine import Engine
from ltbench.training.optimization import Optimization
from ltbench_baselines.ce import CrossEntropy
from tests.support.stages import PROTOCOL, at_progress, facts


@pytest.mark.parametrize("arguments", [["--optimizer", "adamw", "--lr", "0.01"], ["--schedule", "step"], ["--schedule", "cosine"],
                                       ["--schedule", "constant"], ["--precision", "bf16"], ["--accumulate", "2"],
                                       ["--imbalance", "step"]])
def test_every_setting_trains(arguments: list[str], tmp_path: Path) -> None:
    assert main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "la/crt", "--out", str(tmp_path),
                 "--cache", str(tmp_path / "cache"), *arguments]) == 0
    ((_, record),), problems = records.read_directory(tmp_path)
    assert problems == [] and record.status == "completed", record.reason
    assert record.curve[1].loss < record.curve[0].loss


def convolutional(optimizer: str = "sgd") -> tuple[Engine, Optimization]:
    """Return a first stage over convolutions that lie channels last, as the core lays them, with its optimizer."""
    engine = Engine(CifarResNet(8), Head(nn.Linear(64, 3)), Stack([CrossEntropy(facts([5, 3, 1], 64))], 1),
                    lambda engine: at_progress(0.0))
    engine.to(memory_format=torch.channels_last)
    return engine, Optimization(engine, PROTOCOL.replace(optimizer=optimizer, weight_decay=1e-3), 10)


def gradients(engine: Engine, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(p.shape, generator=generator).to(memory_format=torch.channels_last if p.dim() == 4 else
                                                         torch.contiguous_format) for p in engine.parameters()]


def step(engine: Engine, optimizer: torch.optim.Optimizer, seed: int) -> None:
    for parameter, gradient in zip(engine.parameters(), gradients(engine, seed), strict=True):
        parameter.grad = gradient
    optimizer.step()


def test_a_fused_step_is_the_plain_one() -> None:
    """v <- 0.9 v + (g + 0.001 w), w <- w - 0.1 v, each operation rounded once."""
    engine, optimization = convolutional()
    assert optimization.optimizer.defaults["fused"]
    weights = [p.detach().clone() for p in engine.parameters()]
    velocities = [torch.zeros_like(w) for w in weights]
    for seed in range(3):
        step(engine, optimization.optimizer, seed)
        for w, v, g in zip(weights, velocities, gradients(engine, seed), strict=True):
            v.mul_(0.9).add_(g + 1e-3 * w)
            w.sub_(0.1 * v)
    for parameter, w in zip(engine.parameters(), weights, strict=True):
        torch.testing.assert_close(parameter.detach(), w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_state_that_comes_back_lies_as_the_parameters_do(optimizer: str) -> None:
    """What comes from a file is contiguous: added to channels-last weights without a look, it would fall on other ones."""
    engine, optimization = convolutional(optimizer)
    step(engine, optimization.optimizer, 0)
    kept = {name: value.clone(memory_format=torch.contiguous_format) for name, value in optimization.state().items()}
    weights = copy.deepcopy(engine.state_dict())
    step(engine, optimization.optimizer, 1)
    expected = copy.deepcopy(engine.state_dict())

    again, other = convolutional(optimizer)
    again.load_state_dict(weights)
    other.restore(kept)
    step(again, other.optimizer, 1)
    for name, value in expected.items():
        assert torch.equal(again.state_dict()[name], value), name


def test_weights_lie_channels_last(tmp_path: Path) -> None:
    from ltbench.testing import scene

    engine, _, _ = scene.Scene(scene.installed()).build("ce", tmp_path)
    convolutions = [module.weight for module in engine.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions and all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convolutions)


class OwnRates(CrossEntropy):
    """Give the stem a rate of its own, and the first block a bound of its own, at the stage's rate."""

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        model: Any = ctx.backbone.model  # type: ignore[attr-defined]
        return [ltbench.ParameterGroup([model.patch_embed.proj.weight], lr=0.5),
                ltbench.ParameterGroup(list(model.blocks[0].parameters()), weight_decay=0.0, clip_norm=2.0)]


def test_rates_fall_with_depth_but_for_groups_with_one_of_their_own() -> None:
    """Of the head 0.1, and half of it for each layer below: the last block, ..., the embedding of patches."""
    engine = Engine(build(BackboneRequest("test_vit", 3, 160)), Head(nn.Linear(64, 3)),
                    Stack([OwnRates(facts([5, 3, 1], 64))], 1),
                    lambda engine: cast(ltbench.Context, SimpleNamespace(backbone=engine.backbone)))
    optimization = Optimization(engine, PROTOCOL.replace(lr=0.1, layer_decay=0.5, schedule="constant"), 10)
    optimization.set_rates(0)
    rates = {id(parameter): group["lr"] for group in optimization.optimizer.param_groups for parameter in group["params"]}
    model: Any = engine.backbone.model
    depth = len(model.blocks)
    assert rates[id(engine.head.classifier.weight)] == 0.1  # type: ignore[union-attr]
    assert rates[id(model.blocks[-1].mlp.fc1.weight)] == rates[id(model.norm.weight)] == 0.05
    assert rates[id(model.blocks[0].mlp.fc1.weight)] == 0.1 * 0.5**depth
    assert rates[id(model.patch_embed.proj.weight)] == 0.5 and rates[id(model.cls_token)] == 0.1 * 0.5**(depth + 1)
    for parameter in engine.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert optimization.clips
    optimization.clip()
    clipped = torch.cat([p.grad.flatten() for p in model.blocks[0].parameters()])
    assert clipped.norm().item() == pytest.approx(2.0, rel=1e-3) and model.norm.weight.grad.eq(1).all()
