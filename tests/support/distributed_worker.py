"""What one of several processes does in the tests of distributed training; also run in a single one, to compare with.

Usage: distributed_worker.py FOLDER. Rank 0 writes ``world-N.safetensors``.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

import ltbench
from ltbench.data.digits import DigitsLT
from ltbench.data.task_data import TaskData, load_parts, load_task_data
from ltbench.planning.plan import StagePlan, plan_run
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from ltbench.results.accuracy import per_class_counts
from ltbench.results.evaluate import predict_test
from ltbench.results.predictions import Predictions
from ltbench.training import bank_file, features
from ltbench.training.distributed import average_batch_norm, make_accelerator
from ltbench.training.engine import Engine
from ltbench.training.files import save_tensors
from ltbench.training.stages import StageRunner
from ltbench.training.store import StageStore

BATCH, STEPS = 24, 3  # 94 images; 24 divides by 2 and 3 processes, and by 2 processes with 2 accumulation steps each
TESTED = 97  # divides by neither 2 nor 3
PROTOCOL = DigitsLT.protocols["smoke"].replace(epochs=1, batch_size=BATCH, backbone="without_batch_norm", warmup=0.0,
                                               schedule="constant", lr=0.05, stage2_batch_size=BATCH)


class WithoutBatchNorm(nn.Module):
    """Map digits to features, each image for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_dim = 16
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(72, 16), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def build(request: ltbench.BackboneRequest) -> nn.Module:
    return WithoutBatchNorm()


class Recorder(ltbench.Method):
    """Weight classes unequally and write down which images every global batch held, and their features."""

    name = "recorder"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("indices", torch.full((STEPS, BATCH), -1))
        self.register_buffer("features", torch.zeros(STEPS, BATCH, facts.feature_dim))
        self.register_buffer("step_count", torch.zeros((), dtype=torch.int64))

    def class_weights(self, ctx: ltbench.Context) -> Tensor:
        return torch.arange(1.0, 11.0)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        if self.step_count < STEPS:
            self.get_buffer("indices")[self.step_count] = seen.indices
            self.get_buffer("features")[self.step_count] = seen.features
        self.get_buffer("step_count").add_(1)


class Follower(ltbench.Method):
    """Mix both views of an image with both of another, learn from a teacher that follows, and keep its answers in a queue."""

    name = "follower"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.projection = nn.Linear(facts.feature_dim, 4)
        self.register_buffer("queue", torch.zeros(2 * BATCH, 4))
        self.teacher: nn.Module = nn.Identity()

    def setup(self, ctx: ltbench.Context) -> None:
        self.teacher = ctx.ema_of(nn.Sequential(ctx.engine.backbone, self.projection), 0.5)

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        return (("crop",), ("simclr", "torchvision:RandomAffine(degrees=20)"))

    def sample_losses(self, ctx: ltbench.Context, logits: Tensor, labels: Tensor) -> Tensor:
        assert ctx.batch is not None
        noise = torch.randn(len(ctx.batch.global_labels), 10, generator=ctx.generator)
        return super().sample_losses(ctx, logits + ctx.batch.rows_of(noise), labels)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        batch, share = batches["main"], ctx.draw_beta(1.0, 1.0)
        partners = ctx.partners(batch, views=2)
        first, second = (share * own + (1 - share) * other for own, other in zip(batch.views, partners.views, strict=True))
        targets = [(batch.labels, share), (partners.labels, 1 - share)]
        mixed = dataclasses.replace(batch, images=first, targets=targets)
        output = ctx.forward(mixed)
        answers = self.teacher(second)
        consistency = (self.projection(output.embedding) - answers).square().mean()
        loss = ctx.loss(output.logits, mixed) + consistency
        return ltbench.Step(loss, output, mixed, {"consistency": consistency}, {"answers": answers})

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        queue = self.get_buffer("queue")
        queue.copy_(torch.cat([seen.rows["answers"], queue])[:len(queue)])


class Plugin:
    @ltbench.hookimpl
    def ltbench_methods(self) -> list[ltbench.MethodSpec]:
        return [ltbench.MethodSpec(kind.name, f"{kind.__module__}:{kind.__name__}", "tested", kind.stages)
                for kind in (Recorder, Follower)]

    @ltbench.hookimpl
    def ltbench_backbones(self) -> list[ltbench.BackboneSpec]:
        return [ltbench.BackboneSpec("without_batch_norm", f"{Recorder.__module__}:build", "for exact comparisons")]


def registry() -> Registry:
    found = load_registry()
    found.add(Plugin(), PluginInfo("distributed", "tests", "0"))
    return found


def slice_of_digits() -> TaskData:
    dataset = DigitsLT()
    parts = load_parts(dataset, None, download=False)
    data = load_task_data(dataset, parts, ltbench.Task(dataset.name, 20.0), PROTOCOL.per_class)
    return TaskData(data.dataset, data.parts, data.split, torch.arange(TESTED), data.labels)


def train(accelerator: Accelerator, folder: Path, accumulation: int) -> dict[str, Tensor]:
    """Train on the global batch and return everything that must not depend on how it was split."""
    found, data = registry(), slice_of_digits()
    plan = plan_run("recorder", ltbench.Task(data.dataset.name, 20.0), PROTOCOL, found, data.dataset).stages[0]
    runner = StageRunner(accelerator, StageStore(folder, 10**9), found, accumulation=accumulation)
    engine = runner.build(plan, 0, data, None)
    rows: list[dict[str, float]] = []
    runner.train(engine, plan, 0, data, rows.append)
    engine.eval()
    predictions = predict_test(engine, data, accelerator, flip=False)
    bank = engine.ctx.features("train")
    evaluated = {name: torch.from_numpy(getattr(predictions, name)) for name in ("ids", "labels", "argmax", "log_prob")}
    evaluated |= counts("all", predictions)
    for tested in (1, 2):  # fewer images than processes
        few = dataclasses.replace(data, test_indices=data.test_indices[:tested])
        predictions = predict_test(engine, few, accelerator, flip=False)
        evaluated |= {f"ids_of_{tested}": torch.from_numpy(predictions.ids), **counts(str(tested), predictions)}
    stored, on_disk = banks(runner, plan, engine, data)
    # Only the main process observes; the others have nothing to save.
    curve = torch.tensor([[row["loss"], row["train_accuracy"]] for row in rows])
    evaluated |= follow(runner, found, data)
    return {**evaluated, "curve": curve, "bank": bank.embedding, "stored": stored, "on_disk": on_disk, **engine.state_dict()}


def follow(runner: StageRunner, found: Registry, data: TaskData) -> dict[str, Tensor]:
    """Train the follower, and return all of it."""
    plan = plan_run("follower", ltbench.Task(data.dataset.name, 20.0), PROTOCOL, found, data.dataset).stages[0]
    engine = runner.build(plan, 0, data, None)
    rows: list[dict[str, float]] = []
    runner.train(engine, plan, 0, data, rows.append)
    curve = torch.tensor([[row["loss"], row["consistency"]] for row in rows])
    return {"follower.curve": curve, **{f"follower.{name}": value for name, value in engine.state_dict().items()}}


def counts(name: str, predictions: Predictions) -> dict[str, Tensor]:
    """Return what a record says of the classes."""
    correct, total = per_class_counts(predictions, 10)
    return {f"correct_of_{name}": torch.from_numpy(correct), f"total_of_{name}": torch.from_numpy(total)}


def banks(runner: StageRunner, plan: StagePlan, engine: Engine, data: TaskData) -> tuple[Tensor, Tensor]:
    """Return the bank of the finished stage, in chunks that divide by nothing: kept by the store, and not kept but on disk."""
    before = features.CHUNK, bank_file.CHUNK, features.IN_MEMORY
    features.CHUNK = bank_file.CHUNK = 31
    features.IN_MEMORY = 0
    try:
        kept = runner.bank(plan, engine, 0, data, keep=True).embedding
        return kept, runner.bank(plan, engine, 0, data, keep=False).embedding
    finally:
        features.CHUNK, bank_file.CHUNK, features.IN_MEMORY = before


def averaged_batch_norm(accelerator: Accelerator) -> dict[str, Tensor]:
    layer = nn.BatchNorm2d(2)
    layer.running_mean += accelerator.process_index
    layer.running_var *= 4 ** accelerator.process_index
    average_batch_norm(nn.Sequential(layer), accelerator)
    return {"mean": layer.running_mean, "var": layer.running_var}


def main(folder: Path) -> None:
    accelerator = make_accelerator(cpu=True)
    world = accelerator.num_processes
    assert world == int(os.environ.get("WORLD_SIZE", "1"))
    tensors = {f"batch_norm:{name}": value for name, value in averaged_batch_norm(accelerator).items()}
    for accumulation in (1, 2):
        found = train(accelerator, folder / f"store-{world}-{accumulation}", accumulation)
        tensors |= {f"{accumulation}:{name}": value for name, value in found.items()}
    if accelerator.is_main_process:
        save_tensors(folder / f"world-{world}.safetensors", tensors, {})
    accelerator.wait_for_everyone()
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    from tests.support import distributed_worker  # under its own name, so that specs and pickles find one set of classes

    distributed_worker.main(Path(sys.argv[1]))
