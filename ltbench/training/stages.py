"""Obtain a stage's result: from the store, from a checkpoint, or by training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch import nn

from ltbench.data.loader import FeatureLoader, Loader
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.method.context import Bank, Context
from ltbench.planning.augmentations import make_view
from ltbench.planning.plan import StagePlan
from ltbench.registry.discovery import Registry
from ltbench.training import speeds
from ltbench.training.budget import Budget, budget_of
from ltbench.training.build import build_engine
from ltbench.training.compilation import compiled
from ltbench.training.distributed import gather_rows, release
from ltbench.training.engine import Engine
from ltbench.training.external import load_external, load_weights
from ltbench.training.features import FeatureReader
from ltbench.training.files import WORTH_SYNCING, check_tensors, load_tensors, save_tensors
from ltbench.training.kept_images import KeptTestImages
from ltbench.training.loop import BatchLoader, Loop, Row, Tick, first_row
from ltbench.training.store import CHECKPOINT, ENGINE, StageStore

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights


@dataclass
class Stage:
    """Hold a finished stage.

    Args:
        engine: Frozen, in evaluation mode.
        seconds: That its training took, wherever it was done.
        trainable: Parameters that it trained, or a stage below, whichever are more.
    """

    engine: Engine
    curve: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    reused: bool = False
    trainable: int = 0


@dataclass(eq=False)
class StageRunner:
    """Train stages, or find them done.

    Args:
        accumulation: Parts that each process splits its share of a global batch into.
    """

    accelerator: Accelerator
    store: StageStore
    registry: Registry
    _: KW_ONLY
    accumulation: int = 1
    stage1: Path | None = None
    weights: Weights | None = None
    sync_batch_norm: bool = False
    compiles: bool = False

    @property
    def given(self) -> bool:
        """Whether the first stage comes from elsewhere and is not trained."""
        return self.stage1 is not None or self.weights is not None

    def obtain(self, plan: StagePlan, seed: int, data: TaskData, previous: Stage | None,
               observe: Callable[[Row], None] = lambda row: None, tick: Tick | None = None) -> Stage:
        """Return a stage's result.

        Args:
            observe: Gets the curve's rows as they come.
            tick: Hears of a step now and then.

        Raises:
            Diverged: If training stops being finite.
        """
        if previous and plan.trial.evaluation_only:
            engine = _finished(self.build(plan, seed, data, previous.engine), seed)
            return Stage(engine, first_row(engine), trainable=previous.trainable)
        engine = self.build(plan, seed, data, previous.engine.trained if previous else None)
        trained = sum(p.numel() for p in engine.parameters() if p.requires_grad) if engine.stack.trains else 0
        if plan.number == 1 and self.stage1 is not None:
            load_external(engine, self.stage1)
            return Stage(_finished(engine, seed), reused=True)
        if plan.number == 1 and self.weights is not None:
            load_weights(engine, self.weights)
            return Stage(_finished(engine, seed), reused=True)
        main = self.accelerator.is_main_process
        with self.store.lock(plan.key, _what(plan, seed, data)) if main else nullcontext():
            if main:
                self._discard_damaged(plan.key)
            self.accelerator.wait_for_everyone()
            reused = self.store.has(plan.key)
            if not reused:
                self.train(engine, plan, seed, data, observe, tick)
            self.accelerator.wait_for_everyone()
            tensors, _ = load_tensors(self.store.path(plan.key) / ENGINE)
            engine.load_trained_state(tensors)
            meta = self.store.meta(plan.key)
            self.accelerator.wait_for_everyone()  # while the lock is held, nobody prunes what others still read
        trainable = max(trained, previous.trainable if previous else 0)
        return Stage(_finished(engine, seed), meta["curve"], meta["seconds"], reused, trainable)

    def _discard_damaged(self, key: str) -> None:
        """Remove a stored or half-trained stage that cannot be read, so that it is trained again."""
        kept = self.store.path(key) / ENGINE if self.store.has(key) else self.store.partial(key)
        try:
            if kept is not None:
                check_tensors(kept)
        except UserError as error:
            print(f"warning: {error}: it is trained again", file=sys.stderr)
            self.store.discard(key)

    def build(self, plan: StagePlan, seed: int, data: TaskData, previous: Engine | None) -> Engine:
        """Return a stage's engine with its context, set up and not yet trained."""
        epochs = budget_of(plan.protocol, plan.trial.ranks_as, len(data.labels)).epochs
        bank_key = self._bank_key(plan.previous, data) if plan.previous else None
        augmented = make_view(plan.protocol.augmentation, data.dataset, self.registry)

        def context(engine: Engine) -> Context:
            reader = FeatureReader(engine, data, augmented, seed, self.accelerator, self.store, bank_key)
            return Context(engine, engine.stack, engine.stack.methods[0].facts, plan.protocol, previous,
                           self.accelerator.device, reader.read, lambda rows: gather_rows(rows, self.accelerator), reader.splits)

        engine = build_engine(plan, seed, epochs, data, self.registry, previous, context).to(self.accelerator.device)
        if self.sync_batch_norm and self.accelerator.num_processes > 1:
            nn.SyncBatchNorm.convert_sync_batchnorm(engine)  # type: ignore[no-untyped-call]  # in place, but for a module that is a batch norm itself
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("setup", seed, plan.number))
            engine.ctx.generator.manual_seed(derive_seed("setup", seed, plan.number))
            for method in engine.stack.methods:
                method.setup(engine.ctx)
        return engine

    def bank(self, plan: StagePlan, engine: Engine, seed: int, data: TaskData, *, keep: bool) -> Bank:
        """Return the embeddings of the plain training images under a finished stage.

        Args:
            keep: Whether to store what is computed, for the stages above.
        """
        augmented = make_view(plan.protocol.augmentation, data.dataset, self.registry)
        reader = FeatureReader(engine, data, augmented, seed, self.accelerator, self.store, self._bank_key(plan, data))
        return reader.finished(keep=keep)

    def _bank_key(self, plan: StagePlan, data: TaskData) -> str:
        """Return the key that the banks of a stage's backbone are kept under: of the stage that trained it, or of its weights.

        Weights are the same for every seed and method, so their features of a split are computed once.
        """
        if self.weights is None:
            return _trained_in(plan)
        return self._folder(self.weights.bank_key(data), f"features of {self.weights.model} on {data.dataset.name}")

    def test_images(self, data: TaskData) -> KeptTestImages | None:
        """Return what keeps embeddings of test images under weights that others trained; None where there are no such weights.

        For evaluation alone: no stage is handed it, and no method can ask for it.
        """
        if self.weights is None:
            return None
        what = f"test features of {self.weights.model} on {data.dataset.name}"
        return KeptTestImages(data, self.accelerator, self.store, self._folder(self.weights.test_key(data), what))

    def _folder(self, key: str, what: str) -> str:
        """Make a folder of the store for banks, if it is not there, mark it as used, and return its key."""
        if self.accelerator.is_main_process:
            with self.store.lock(key, what):
                if not self.store.meta(key):  # reading it marks it as used
                    self.store.finish(key, {"what": what, "curve": [], "seconds": 0.0})
        self.accelerator.wait_for_everyone()
        return key

    def train(self, engine: Engine, plan: StagePlan, seed: int, data: TaskData,
              observe: Callable[[Row], None] = lambda row: None, tick: Tick | None = None) -> None:
        """Fit and train an engine from its start or from its checkpoint, and store the result."""
        budget = budget_of(plan.protocol, plan.trial.ranks_as, len(data.labels))
        folder = self.store.path(plan.key)
        checkpoint = folder / CHECKPOINT
        started = time.perf_counter()
        ctx = engine.ctx
        if not checkpoint.is_file():  # a checkpoint holds what fitting gave
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive_seed("fit", seed, plan.number))
                ctx.generator.manual_seed(derive_seed("fit", seed, plan.number))
                for method in engine.stack.methods:
                    method.fit(ctx)
            engine.restart_averages()
        curve = [] if engine.stack.trains else first_row(engine)
        seconds = time.perf_counter() - started
        if engine.stack.trains:
            device = self.accelerator.device
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                loop = Loop(engine, budget, self.loaders(engine, plan, budget, seed, data), data.labels, seed, self.accelerator,
                            checkpoint, observe, tick)
                alone = self.accumulation == 1 and self.accelerator.num_processes == 1
                try:
                    with compiled(engine, self.store.root.parent, alone=alone) if self.compiles else nullcontext():
                        loop.run()
                finally:
                    self.accelerator.unwrap_model(engine, keep_fp32_wrapper=False)
                    release(self.accelerator)
            curve, seconds = loop.curve, loop.seconds + seconds
        if not self.accelerator.is_main_process:
            return
        if engine.stack.trains and engine.stack.inputs == "images":
            speeds.note(self.store.root.parent,
                        speeds.setting(plan.text, plan.protocol.backbone, data.dataset, budget.batch_size, self.accelerator),
                        loop.seconds / (budget.epochs * budget.steps))
        if self.store.confirm(plan.key) or not self.store.has(plan.key):
            durable = seconds > WORTH_SYNCING
            save_tensors(folder / ENGINE, engine.trained_state(), {}, durable=durable)
            self.store.finish(plan.key, {"what": _what(plan, seed, data), "curve": curve, "seconds": seconds}, durable=durable)
        else:
            checkpoint.unlink(missing_ok=True)  # another process finished the stage while this one was suspended

    def loaders(self, engine: Engine, plan: StagePlan, budget: Budget, seed: int, data: TaskData) -> Callable[[str], BatchLoader]:
        """Return what makes the loader of a stream: of images, or of cached features where the stage trains on them."""
        accelerator = self.accelerator
        places: dict[str, Any] = {"batch_size": budget.batch_size, "device": accelerator.device,
                                  "rank": accelerator.process_index, "world": accelerator.num_processes,
                                  "accumulation": self.accumulation}
        if engine.stack.inputs == "features":
            bank = engine.ctx.features("train", "plain")
            return lambda stream: FeatureLoader(bank.embedding, bank.labels, **places)
        views = [make_view(names, data.dataset, self.registry) for names in engine.stack.owner("views").views(engine.ctx)]
        return lambda stream: Loader(data.parts.train, data.indices, views, seed=derive_seed("images", seed, plan.number, stream),
                                     **places)


def _what(plan: StagePlan, seed: int, data: TaskData) -> str:
    return f"stage {plan.number} of {plan.text} on {data.dataset.name}, seed {seed}"


def _trained_in(plan: StagePlan) -> str:
    """Return the key of the stage that a stage's backbone was last trained in: all stages above it share one bank."""
    while plan.previous and plan.trial.backbone == "frozen":
        plan = plan.previous
    return plan.key


def _finished(engine: Engine, seed: int) -> Engine:
    """Freeze a stage, and leave its context as it would be had the stage just been trained, wherever it came from."""
    engine.eval()
    engine.requires_grad_(False)
    engine.ctx.epoch = engine.ctx.facts.epochs
    engine.ctx.generator.manual_seed(derive_seed("finished", seed, engine.stack.stage))
    return engine
