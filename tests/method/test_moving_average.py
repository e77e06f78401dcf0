from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import ltbench
from ltbench.method.moving_average import MovingAverage
from ltbench.registry.discovery import PluginInfo, load_registry
from ltbench.testing.scene import SEED, Scene
from ltbench.training.stages import StageRunner


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_weights_move_by_hand() -> None:
    source = nn.Linear(1, 1)
    with torch.no_grad():
        source.weight.fill_(1.0)
        source.bias.zero_()
    average = MovingAverage(source, 0.75)
    with torch.no_grad():
        source.weight.fill_(5.0)
    average.update()
    assert float(average.module.weight) == 2.0  # .75 x 1 + .25 x 5
    average.update()
    assert float(average.module.weight) == 2.75
    average.momentum = 0.0
    average.update()
    assert float(average.module.weight) == 5.0


def test_after_n_steps_it_is_the_weighted_mean_of_all_that_it_has_seen() -> None:
    source = nn.Linear(3, 2)
    seen = [source.weight.detach().clone()]
    average = MovingAverage(source, 0.9)
    for _ in range(5):
        with torch.no_grad():
            source.weight.copy_(torch.randn(2, 3))
        seen.append(source.weight.detach().clone())
        average.update()
    expected = 0.9**5 * seen[0] + sum(0.1 * 0.9 ** (5 - step) * seen[step] for step in range(1, 6))
    torch.testing.assert_close(average.module.weight, expected)


def test_no_gradient_reaches_it_and_its_source_is_no_part_of_it() -> None:
    source = layers()
    average = MovingAverage(source, 0.9)
    inputs = torch.randn(4, 2, requires_grad=True)
    assert not average(inputs).requires_grad
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert all(name.startswith("module.") for name in average.state_dict())
    assert len(average.state_dict()) == len(source.state_dict())


def test_own_statistics_are_of_what_it_sees() -> None:
    source = layers()
    average = MovingAverage(source, 0.9).train()
    norm = average.module[1]
    average(torch.randn(8, 2) + 5)
    average.update()
    assert norm.training and int(norm.num_batches_tracked) == 1
    assert not torch.equal(norm.running_mean, source[1].running_mean)


def test_followed_statistics_are_averaged_and_it_stays_in_evaluation_mode() -> None:
    source = layers()
    average = MovingAverage(source, 0.75, "followed").train()
    norm = average.module[1]
    assert not norm.training
    source.train()(torch.randn(8, 2) + 5)
    average.update()
    torch.testing.assert_close(norm.running_mean, 0.25 * source[1].running_mean)  # it was 0
    assert int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize(("momentum", "statistics", "words"), [
    (1.5, "own", r"momentum must be in \[0, 1\], got 1.5"),
    (0.9, "batch", "statistics must be one of own, followed, got 'batch'")])
def test_refusals(momentum: float, statistics: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MovingAverage(nn.Linear(1, 1), momentum, statistics)  # type: ignore[arg-type]  # what is refused


class Taught(ltbench.Method):
    """Follow the head of a later stage, which ``fit`` changes."""

    name = "taught"
    stages = frozenset({1, 2})

    def setup(self, ctx: ltbench.Context) -> None:
        self.teacher = ctx.ema_of(ctx.engine.head, 0.9)

    def fit(self, ctx: ltbench.Context) -> None:
        with torch.no_grad():
            ctx.engine.head.classifier.weight.fill_(0.5)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        if not hasattr(self, "first"):
            self.first = self.teacher.module.classifier.weight.clone()
            self.moved = ctx.engine.head.classifier.weight.clone()


class Plugin:
    @ltbench.hookimpl
    def ltbench_methods(self) -> list[ltbench.MethodSpec]:
        return [ltbench.MethodSpec("taught", f"{__name__}:Taught", "follows", Taught.stages)]


def test_it_begins_with_what_fit_made_and_moves_before_after_step(tmp_path: Path) -> None:
    registry = load_registry(strict=False)
    registry.add(Plugin(), PluginInfo("taught", "tests", "0"))
    scene = Scene(registry)
    engine, runner, plan = scene.build("taught", tmp_path)
    assert isinstance(runner, StageRunner)
    runner.train(engine, plan, SEED, scene.data)
    method = engine.method("taught")
    assert isinstance(method, Taught)
    torch.testing.assert_close(method.first, 0.9 * torch.full_like(method.first, 0.5) + 0.1 * method.moved)
