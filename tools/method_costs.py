"""What a method's stages take, counted: parameters, and the operations of one step and one prediction of a few random images.

For ``tools/comparing_page.py`` and ``tools/step_times.py``. Nothing is trained and no data is read: stages are built with random
weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ltbench.backbones.operations import count_operations
from ltbench.backbones.request import feature_dim
from ltbench.data.base import Dataset
from ltbench.data.batch import Batch
from ltbench.data.naming import open_dataset
from ltbench.data.published import unread_parts
from ltbench.data.task_data import TaskData, load_task_data
from ltbench.errors import UserError
from ltbench.leaderboard.tables import NOTHING
from ltbench.method.context import Bank, Context
from ltbench.planning.plan import RunPlan, StagePlan, plan_run
from ltbench.registry.discovery import Registry
from ltbench.terms.protocol import COMMON, PAPER
from ltbench.terms.task import Task
from ltbench.training.budget import budget_of
from ltbench.training.build import build_engine
from ltbench.training.engine import Engine

PLAIN = "ce"
COUNTED = "cifar100-lt@100"
PRINTED = (COUNTED, "imagenet-lt", "inat18", "cifar10-lt@100")  # where a paper's setting is looked for, in this order
TRANSFORMER = "timm:vit_tiny_patch16_224"  # of methods that work on no other kind, beside cross-entropy on the same
IMAGES = 4  # of a counted step, two of a class
SEED = 0


@dataclass(frozen=True)
class Counted:
    """Hold what one method takes.

    Args:
        inputs: What its last stage trains on, ``images`` or ``features``; empty where nothing is trained.
        views: Of an image.
        streams: That a step draws from.
        kept: Parameters of backbone and head.
        own: Bytes of the parameters that its methods hold beside these, copies that follow others included.
        buffers: Bytes of all buffers but the backbone's: queues, memories, class centers, statistics of copies.
        steps: Operations of a training step, for one image of each stream, in the first and in the last epoch.
        prediction: Operations of a prediction.
    """

    inputs: str
    views: int
    streams: int
    kept: int
    own: int
    buffers: int
    steps: tuple[float, float]
    prediction: int


@dataclass(frozen=True)
class Built:
    """Hold the last stage of a method, with random weights.

    Args:
        trains: Whether it takes steps.
        views: Of an image; 0 where features are read.
        streams: That a step draws from.
    """

    engine: Engine
    trains: bool
    views: int
    streams: Sequence[str]


@dataclass
class Counter:
    """Count what methods take on one dataset, each stage below once.

    Args:
        changes: Of its common protocol.
    """

    registry: Registry
    changes: Mapping[str, Any] = field(default_factory=dict)
    finished: dict[tuple[int, str], Engine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dataset, ratio = self.dataset(COUNTED)
        assert dataset.published is not None
        parts = unread_parts(dataset.name, dataset.published)
        self._data: TaskData = load_task_data(dataset, parts, Task(dataset.name, ratio), None)

    def dataset(self, name: str) -> tuple[Dataset, float | None]:
        """Open a dataset by the name that users type."""
        return open_dataset(name, self.registry, None)

    def plan(self, method: str, name: str, track: str) -> RunPlan:
        """Plan a method on a dataset.

        Raises:
            UserError: If it has no setting there.
        """
        dataset, ratio = self.dataset(name)
        task = Task(dataset.name, ratio, track=track, protocol=COMMON)  # type: ignore[arg-type]
        return plan_run(method, task, dataset.protocols[COMMON].replace(**self.changes), self.registry, dataset)

    def build(self, method: str) -> Built:
        """Build a method's stages and return the last one."""
        *below, last = self.plan(method, COUNTED, COMMON).stages
        previous: Engine | None = None
        for stage in below:
            place = stage.number, stage.key
            if place not in self.finished:
                self.finished[place] = self._build(stage, previous).requires_grad_(False).eval()
            previous = self.finished[place]
        engine = self._build(last, previous)
        trains = engine.stack.trains and not engine.stack.evaluation_only
        streams = list(engine.stack.owner("streams").streams(engine.ctx)) if trains else []
        views = len(engine.stack.owner("views").views(engine.ctx)) if trains and engine.stack.inputs == "images" else 0
        return Built(engine, trains, views, streams)

    def count(self, method: str) -> Counted:
        """Build a method's stages and count its last one."""
        built = self.build(method)
        engine = built.engine
        steps = 0.0, 0.0
        if built.trains:
            labels = torch.arange(IMAGES) // 2 * (engine.ctx.facts.num_classes - 1)
            rows = torch.stack([(self._data.labels == label).nonzero()[0, 0] for label in labels])
            steps = self._operations(built, rows, 0), self._operations(built, rows, engine.ctx.facts.epochs - 1)
        model = engine.eval().trained
        kept = sum(weights.numel() for part in (model.backbone, model.head) for weights in part.parameters())
        own = size(engine.parameters()) - size(engine.backbone.parameters()) - size(engine.head.parameters())
        return Counted(engine.stack.inputs if built.trains else "", built.views, len(built.streams), kept, own,
                       size(engine.buffers()) - size(engine.backbone.buffers()), steps,
                       count_operations(engine.predict, self._images(1)))

    def _build(self, stage: StagePlan, previous: Engine | None) -> Engine:
        below = previous if previous is None or stage.trial.evaluation_only else previous.trained

        def context(engine: Engine) -> Context:
            def read(split: str, view: str) -> Bank:
                width = feature_dim(engine.backbone)
                return Bank(torch.rand(len(self._data.labels), width, generator=seeded()), self._data.labels)
            return Context(engine, engine.stack, engine.stack.methods[0].facts, stage.protocol, below, torch.device("cpu"), read,
                           lambda rows: rows)

        epochs = budget_of(stage.protocol, stage.trial.ranks_as, len(self._data.labels)).epochs
        engine = build_engine(stage, SEED, epochs, self._data, self.registry, below, context)
        engine.ctx.generator.manual_seed(SEED)
        for method in engine.stack.methods:
            method.setup(engine.ctx)
        if not stage.trial.evaluation_only:
            for method in engine.stack.methods:
                method.fit(engine.ctx)
        engine.ctx.epoch = epochs
        return engine

    def draw(self, count: int) -> Tensor:
        """Return so many training images, as rows, in the proportions of the classes."""
        return torch.randperm(len(self._data.labels), generator=seeded())[:count]

    def start(self, built: Built, rows: Tensor, epoch: int) -> dict[str, Batch]:
        """Begin an epoch, and return a batch of every stream, of random images with the labels of these rows."""
        engine, ctx = built.engine, built.engine.ctx
        ctx.epoch, ctx.lr = epoch, ctx.protocol.lr
        engine.train()
        for method in engine.stack.methods:
            method.start_epoch(ctx)
        labels = self._data.labels[rows]
        batches = {}
        for name in built.streams:
            drawn = [self._images(len(rows)) for _ in range(built.views)]
            embedding = None if drawn else torch.rand(len(rows), feature_dim(engine.backbone), generator=seeded())
            batches[name] = Batch(drawn[0] if drawn else None, labels, [(labels, 1.0)], rows, labels, drawn, embedding,
                                  pieces=[drawn] if drawn else [])
        return batches

    def _operations(self, built: Built, rows: Tensor, epoch: int) -> float:
        batches = self.start(built, rows, epoch)
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = Everywhere()  # type: ignore[assignment]
        with counter:
            step(built.engine, batches)
        operations: float = counter.get_total_flops() / len(rows)
        return operations

    def _images(self, count: int) -> Tensor:
        size = self._data.dataset.image_size
        return torch.rand(count, self._data.dataset.channels, size, size, generator=seeded())

    def printed(self, method: str) -> str:
        """Return what a method's paper runs, and for how many epochs; on the first dataset that it has a setting for."""
        for name in PRINTED:
            try:
                plan = self.plan(method, name, PAPER)
            except UserError:
                continue
            images = len(self._data.labels)  # a later stage's epochs depend on it only where the paper states draws
            epochs = [str(budget_of(stage.protocol, stage.trial.ranks_as, images).epochs if stage.trial.trains else 0)
                      for stage in plan.stages]
            text = "/".join("+".join(choice.method.name for choice in stage.choices) for stage in plan.stages)
            return f"`{text}` {'+'.join(epochs)}{'' if name == COUNTED else f' ({name})'}"
        return NOTHING


def step(engine: Engine, batches: Mapping[str, Batch]) -> None:
    """Compute the loss and its gradients."""
    loss, _, _ = engine(batches)
    loss.backward()


def seeded() -> torch.Generator:
    """Return a generator of the same numbers each time."""
    return torch.Generator().manual_seed(SEED)


def size(tensors: Iterable[Tensor]) -> int:
    """Return how many bytes tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Everywhere:
    """Count operations wherever they are done, not by module.

    In the place of the counter's own tracker, whose hooks ask for the gradient of every module's input a second time: torch
    refuses this where a method asks for the gradient of an image itself.
    """

    parents = frozenset({"Global"})

    def __enter__(self) -> Self:
        """Begin to count."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop counting."""
