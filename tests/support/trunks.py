"""Small methods with several trunks, teachers, pupils, attention on maps, offered by a plugin: what the contract must carry."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench

HALVES = (tuple(range(5)), tuple(range(5, 10)))


class Teachers(ltbench.Method):
    """Train two whole networks, each on images of its own half of the classes."""

    name = "trunks_teachers"
    stages = frozenset({1})
    leaves = "ExpertHead"

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        return ltbench.ExpertBackbone([make.full(), make.another()], make.feature_dim)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return ltbench.ExpertHead([make.classifier(make.feature_dim // 2) for _ in HALVES])

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        return {name: ltbench.OfClasses(half) for name, half in zip(("main", "tail"), HALVES, strict=True)}

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        outputs = [(ctx.forward(mixed), mixed) for mixed in map(ctx.mix, batches.values())]
        losses = [ctx.loss(output.extra["expert_logits"][:, i], mixed) for i, (output, mixed) in enumerate(outputs)]
        return ltbench.Step(torch.stack(losses).sum(), *outputs[0])


class Pupil(ltbench.Method):
    """Train a new network to say what the teachers before it say, each of its half."""

    name = "trunks_pupil"
    stages = frozenset({2})
    backbone = "fresh"
    below = "trunks_teachers"
    needs = frozenset({"ExpertHead"})

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        assert ctx.previous is not None and step.batch.images is not None
        with torch.no_grad():
            taught = ctx.previous.output(step.batch.images).extra["expert_logits"].unbind(dim=1)
        losses = [F.kl_div(step.output.logits[:, half].log_softmax(dim=1), logits[:, half].softmax(dim=1), reduction="batchmean")
                  for half, logits in zip(HALVES, taught, strict=True)]
        return {"taught": torch.stack(losses).sum()}


class Attention(nn.Module):
    """Weigh the positions of maps (B, d, h, w) by a softmax over them; at the start, all alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.score.weight)

    def forward(self, maps: Tensor) -> Tensor:
        weights = self.score(maps).flatten(1).softmax(dim=1).view(len(maps), 1, *maps.shape[2:])
        return maps * weights * (maps.shape[2] * maps.shape[3])


class Attend(ltbench.Method):
    """Read the last maps of the stage before by attention, and tune all; the trunk's weights stay, if it is so asked."""

    name = "trunks_attend"
    stages = frozenset({2})
    backbone = "tuned"

    def __init__(self, facts: ltbench.Facts, *, fixed: bool = False) -> None:
        super().__init__(facts)
        self.fixed = fixed

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        trunk, last = make.parts()
        trunk.requires_grad_(not self.fixed)
        channels, _, _ = make.map_shapes()[-1]
        return make.pooled(nn.Sequential(trunk, last, Attention(channels)))


class Heirs(ltbench.Method):
    """Let two experts begin as the last stages of the network before, on its trunk, which stays as it is."""

    name = "trunks_heirs"
    stages = frozenset({2})
    backbone = "tuned"
    leaves = "ExpertHead"

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        trunk = make.trunk(2).requires_grad_(False)
        return ltbench.ExpertBackbone([make.last_stage(stages=2) for _ in HALVES], make.feature_dim, trunk)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return ltbench.ExpertHead([make.classifier(make.feature_dim // 2) for _ in HALVES])


class Deep(nn.Module):
    """Multiply what the last stage gives by a shallow reading of the maps before it."""

    def __init__(self, first: nn.Module, second: nn.Module, last: nn.Module, shallow: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.last, self.shallow, self.pool = first, second, last, shallow, pool
        self.feature_dim = pool.feature_dim

    def forward(self, images: Tensor) -> Tensor:
        early = self.first(images)
        deep, shallow = self.last(self.second(early)), self.shallow(early)
        embedding: Tensor = self.pool(deep * F.adaptive_avg_pool2d(shallow, deep.shape[2:]))
        return embedding


class Depths(ltbench.Method):
    """Join maps of two depths."""

    name = "trunks_depths"
    stages = frozenset({1})

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        (early, _, _), _, (late, _, _) = make.map_shapes(2)
        return Deep(*make.parts(2), nn.Conv2d(early, late, 1), make.pooled(nn.Identity()))


METHODS = (Teachers, Pupil, Attend, Heirs, Depths)


@ltbench.hookimpl
def ltbench_methods() -> list[ltbench.MethodSpec]:
    return [ltbench.MethodSpec(kind.name, f"{__name__}:{kind.__name__}", "of the tests", kind.stages) for kind in METHODS]
