"""The contract carries every kind of method: experts, two branches, fixed prototypes, regularizers, momentum contrast."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench.planning.plan import plan_run
from ltbench.planning.request import How
from ltbench.registry.discovery import PluginInfo, load_registry
from ltbench.running.runner import Runner
from ltbench.terms.task import Task
from ltbench.training.distributed import make_accelerator
from ltbench.training.store import StageStore

EXPERTS = 2


class ExpertBackbone(nn.Module):
    """Share a trunk between last stages; their embeddings stand side by side."""

    def __init__(self, trunk: nn.Module, stages: list[nn.Module], width: int) -> None:
        super().__init__()
        self.trunk, self.stages = trunk, nn.ModuleList(stages)
        self.feature_dim = width * len(stages)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.trunk(images)
        return torch.cat([stage(maps) for stage in self.stages], dim=1)


class ExpertHead(nn.Module):
    """Classify each expert's part and average."""

    def __init__(self, classifiers: list[nn.Module]) -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(classifiers)

    def forward(self, embedding: Tensor) -> ltbench.Output:
        parts = embedding.chunk(len(self.classifiers), dim=1)
        each = torch.stack([classifier(part) for classifier, part in zip(self.classifiers, parts, strict=True)], dim=1)
        return ltbench.Output(embedding, embedding, each.mean(dim=1), {"experts": each})  # (B, E, C)


class Experts(ltbench.Method):
    """Train experts with whatever criterion the stack has."""

    name = "toy_experts"
    stages = frozenset({1})

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        return ExpertBackbone(make.trunk(), [make.last_stage(0.5) for _ in range(EXPERTS)], make.feature_dim // 2)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return ExpertHead([make.classifier(make.feature_dim // EXPERTS) for _ in range(EXPERTS)])

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        batch = batches["main"]
        output = ctx.forward(batch)
        losses = [ctx.loss(output.extra["experts"][:, i], batch) for i in range(EXPERTS)]
        return ltbench.Step(torch.stack(losses).sum(), output, batch)


class TwoBranch(ltbench.Method):
    """Interpolate an instance-balanced and a class-balanced branch, with running centroids."""

    name = "toy_branches"
    stages = frozenset({1})
    centroids: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("centroids", torch.zeros(facts.num_classes, facts.feature_dim))

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        return {"main": ltbench.InstanceBalanced(), "tail": ltbench.ClassAware(1.0)}

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        head, tail = batches["main"], batches["tail"]
        assert head.images is not None and tail.images is not None
        mixed = ctx.forward(0.7 * head.images + 0.3 * tail.images)
        loss = 0.7 * ctx.loss(mixed.logits, head) + 0.3 * ctx.loss(mixed.logits, tail)
        return ltbench.Step(loss, mixed, head)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        present = seen.labels.unique()
        means = ltbench.class_means(seen.features, seen.labels, self.facts.num_classes)[present]
        self.centroids[present] = F.normalize(0.9 * self.centroids[present] + 0.1 * means, dim=1)


class Distill(ltbench.Method):
    """Tune the backbone in a second stage, taught by the first."""

    name = "toy_distill"
    stages = frozenset({2})
    inputs = "images"
    backbone = "tuned"

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        assert ctx.previous is not None
        with torch.no_grad():
            teacher = ctx.previous.output(step.batch).logits.softmax(dim=1)
        return {"distillation": F.kl_div(step.output.logits.log_softmax(dim=1), teacher, reduction="batchmean")}


class FixedPrototypes(ltbench.Method):
    """Project to fixed prototypes and reassign them every epoch."""

    name = "toy_fixed"
    stages = frozenset({1})
    assignment: Tensor

    def __init__(self, facts: ltbench.Facts, *, dim: int = 12) -> None:
        super().__init__(facts)
        self.dim = dim
        prototypes = torch.linalg.qr(torch.randn(dim, facts.num_classes)).Q.T
        self.register_buffer("prototypes", prototypes.contiguous())  # (C, dim)
        self.register_buffer("assignment", torch.arange(facts.num_classes))

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        return _Cosine(self)

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        return make.head(make.classifier(self.dim), nn.Linear(make.feature_dim, self.dim))

    def end_epoch(self, ctx: ltbench.Context) -> None:
        self.assignment.copy_(self.assignment.roll(1))


class _Cosine(nn.Module):
    def __init__(self, method: FixedPrototypes) -> None:
        super().__init__()
        self._method = [method]  # in a list, or the method would stand in the model twice

    def forward(self, features: Tensor) -> Tensor:
        method = self._method[0]
        return 10 * F.normalize(features, dim=1) @ method.prototypes[method.assignment].T


class LearnableMeans(ltbench.Method):
    """Pull features to means that are parameters with a rate of their own."""

    name = "toy_means"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.means = nn.Parameter(torch.zeros(facts.num_classes, facts.feature_dim))

    def parameter_groups(self, ctx: ltbench.Context) -> list[ltbench.ParameterGroup]:
        return [ltbench.ParameterGroup([self.means], lr=0.5, weight_decay=0.0, clip_norm=1.0, schedule="constant")]

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        return {"within": 1e-3 * (step.output.embedding - self.means[step.batch.labels]).square().sum(dim=1).mean()}


class MomentumContrast(ltbench.Method):
    """Compare two views through a slowly moving copy of the model and a queue."""

    name = "toy_moco"
    stages = frozenset({1})
    queue: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("queue", F.normalize(torch.randn(64, facts.feature_dim), dim=1))
        self.keys: nn.Module = nn.Identity()

    def setup(self, ctx: ltbench.Context) -> None:
        self.keys = copy.deepcopy(ctx.engine.backbone).requires_grad_(False)

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        return (ctx.protocol.augmentation, ctx.protocol.augmentation)

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        with torch.no_grad():
            keys = F.normalize(self.keys(step.batch.views[1]), dim=1)
        queries = F.normalize(step.output.embedding, dim=1)
        scores = torch.cat([(queries * keys).sum(dim=1, keepdim=True), queries @ self.queue.T], dim=1) / 0.1
        return {"contrast": F.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.int64))}

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        for slow, fast in zip(self.keys.parameters(), ctx.engine.backbone.parameters(), strict=True):
            slow.lerp_(fast, 0.01)
        self.queue.copy_(torch.cat([F.normalize(seen.features, dim=1), self.queue])[: len(self.queue)])


KINDS = (Experts, TwoBranch, Distill, FixedPrototypes, LearnableMeans, MomentumContrast)


class Plugin:
    @ltbench.hookimpl
    def ltbench_methods(self) -> list[ltbench.MethodSpec]:
        return [ltbench.MethodSpec(kind.name, f"{__name__}:{kind.__name__}", "toy", kind.stages) for kind in KINDS]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("slots")
    registry = load_registry(strict=False)
    registry.add(Plugin(), PluginInfo("toys", "toy-box", "1"))
    datasets = {"digits-lt": registry.datasets.get("digits-lt").load()()}
    return Runner(registry, make_accelerator(cpu=True), StageStore(folder / "cache", 10**9), datasets,
                  How(folder / "runs", debug=True))


@pytest.mark.parametrize("text", [
    "toy_experts", "toy_experts+ldam+drw", "toy_experts+mixup/crt", "toy_branches+la/ncm", "toy_distill", "toy_distill+mixup",
    "toy_fixed", "toy_fixed/tau_norm", "toy_means+drw/lws", "toy_moco+la/prototype", "toy_means+toy_moco"])
def test_it_trains_and_composes(text: str, runner: Runner) -> None:
    dataset = runner.data.datasets["digits-lt"]
    protocol = dataset.protocols["smoke"]
    plan = plan_run(text, Task("digits-lt", 20.0, protocol="smoke"), protocol, runner.registry, dataset)
    (record,) = runner.run([plan])
    if text == "toy_fixed/tau_norm":  # reuses a linear classifier, and says so: the toy does not say what it leaves
        assert record.status == "failed" and "must be linear" in record.reason
        return
    assert record.status == "completed", record.reason
    names = {"toy_distill": "distillation", "toy_means": "within", "toy_moco": "contrast"}
    for name, figure in names.items():
        if name in text:
            assert any(figure in row.as_dict() for row in record.curve)
