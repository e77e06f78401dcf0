"""What a method sees while it works: the task's facts, the model, the stage before, and never the test images."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor, nn

from ltbench.backbones.request import feature_dim
from ltbench.data.batch import Batch
from ltbench.data.partners import Partners, draw_partners
from ltbench.data.samplers import InstanceBalanced, Sampler
from ltbench.method.moving_average import MovingAverage, Statistics
from ltbench.method.values import Facts, Output, Step
from ltbench.terms.protocol import Protocol

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class Combined(Interface):
    """Join what the methods of a stage do."""

    stage: int

    @property
    def reduction(self) -> Literal["mean", "sum"]:
        """How the losses of a global batch become one."""

    def criterion(self, ctx: Context, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample, shape (B,)."""

    def class_weights(self, ctx: Context) -> Tensor | None:
        """Return the product of all class weights, shape (C,), or None if there are none."""

    def mix(self, ctx: Context, batch: Batch) -> Batch:
        """Return the batch with mixed images and weighted targets."""


class StageModel(Interface):
    """Be the model of one stage, as a method sees it.

    Attributes:
        backbone: Images (B, channels, H, W) -> embedding (B, D), with an int ``feature_dim``.
        head: Embedding (B, D) -> :class:`ltbench.Output`.
    """

    backbone: nn.Module
    head: nn.Module

    def method(self, name: str) -> Any:
        """Return a method of this stage by its name."""

    def output(self, batch: Batch | Tensor) -> Output:
        """Return what the model says of a batch or of images (B, channels, H, W)."""

    def predict(self, batch: Batch | Tensor) -> Tensor:
        """Return the logits (B, C) whose softmax is the stage's probability."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Hold the embeddings of a whole split; other stages read the same ones, so change a copy only.

    A large bank is mapped from disk and may be larger than memory: go through it with :func:`ltbench.row_blocks`, or take rows.

    Args:
        embedding: Shape (N, D), float32; on the device if it fits there, else on the CPU.
        labels: Shape (N,), on the device.
    """

    embedding: Tensor
    labels: Tensor


class Context:
    """Be the one argument through which a method reaches everything else.

    Attributes:
        facts: Class counts, D, epochs.
        epoch: From 0; of the current stage.
        lr: The stage's learning rate in the first step of the current epoch; 0 where nothing is trained.
        previous: The model of the stage before, frozen and in evaluation mode; None in the first stage. Its ``head``,
            ``backbone`` and ``method(name)`` are there to read.
        splits: Of which ``features`` gives embeddings: ``train``, and ``held_out`` where a run holds training images out.
        batch: During a step, this process's part of its first stream, usually ``main``: a criterion that draws a number for each
            image cuts them by its ``rows_of``. None outside of steps.
        global_labels: Labels of the global batch whose loss was asked for last, shape (G,); None before the first.
        generator: A CPU generator that is seeded anew each epoch, equally on every process. Draw from it what is random: a step
            draws the same numbers for every part of a global batch. A number for each image: :meth:`Batch.rows_of`.
    """

    def __init__(self, engine: StageModel, stack: Combined, facts: Facts, protocol: Protocol, previous: StageModel | None,
                 device: torch.device, read_features: Callable[[str, str], Bank],
                 gather: Callable[[Tensor], Tensor], splits: tuple[str, ...] = ("train",)) -> None:
        self._engine = weakref.ref(engine)  # the engine owns its context
        self._stack = stack
        self._read_features = read_features
        self._gather = gather
        self.splits = splits
        self._class_counts = facts.class_counts.to(device)
        self.facts = facts
        self.protocol = protocol
        self.stage = stack.stage
        self.epoch = 0
        self.lr = 0.0
        self.previous = previous
        self.device = device
        self.batch: Batch | None = None
        self.global_labels: Tensor | None = None
        self.generator = torch.Generator()

    @property
    def engine(self) -> StageModel:
        """The model of this stage."""
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine of this context is gone")
        return engine

    def classifier(self, kind: type[ModuleT]) -> ModuleT:
        """Return the classifier of this stage's head, which a method of the stage has made.

        Args:
            kind: Its class.

        Raises:
            TypeError: If it is of another one.
        """
        classifier = self.engine.head.classifier
        if not isinstance(classifier, kind):
            raise TypeError(f"the classifier must be of class {kind.__name__}, got {type(classifier).__name__}")
        return classifier

    @property
    def class_counts(self) -> Tensor:
        """Realized training images of each class, int64, shape (C,), on the device."""
        return self._class_counts

    @property
    def embedding_dim(self) -> int:
        """D of the backbone as it was built: another method of the stack may have made it wider than the task's."""
        return feature_dim(self.engine.backbone)

    @property
    def progress(self) -> float:
        """Fraction of the stage's epochs that are behind: 0 in the first one."""
        return self.epoch / self.facts.epochs

    def forward(self, batch: Batch | Tensor) -> Output:
        """Return what the model says of a batch or of images (B, channels, H, W)."""
        return self.engine.output(batch)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each sample (B,) by the stack's criterion: the way for steps, mixing and experts."""
        return self._stack.criterion(self, logits, labels)

    def class_weights(self) -> Tensor | None:
        """Return the product of all class weights of the stack, shape (C,), or None if there are none."""
        return self._stack.class_weights(self)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the weighted loss sum(w l) / sum(w), or sum(w l) where a method asks for it, over the global batch.

        The divisor comes from the labels of the whole global batch, which every process knows, so no communication is needed and
        averaging over processes and accumulation steps gives the exact value. Where images are mixed it is that of the drawn
        labels, which mixing within a batch permutes.
        """
        self.global_labels = batch.global_labels
        weights = self.class_weights()
        total = logits.new_zeros(())
        for labels, share in batch.targets:
            losses = self.criterion(logits, labels) * share
            total = total + (losses if weights is None else losses * weights[labels]).sum()
        if self._stack.reduction == "sum":
            return total * batch.chunks  # the mean over parts of a batch is then the sum over the batch
        everything = len(batch.global_labels) if weights is None else weights[batch.global_labels].sum()
        return total * batch.chunks / everything

    def default_streams(self) -> Mapping[str, Sampler]:
        """Return the one instance-balanced stream."""
        return {"main": InstanceBalanced()}

    def mix(self, batch: Batch) -> Batch:
        """Return the batch as the stack's owner of ``mix`` mixes it: the way for a step of one's own to work with mixing."""
        return self._stack.mix(self, batch)

    def default_step(self, batch: Batch) -> Step:
        """Mix, forward, loss: what a stack does whose methods own no step."""
        mixed = self.mix(batch)
        output = self.forward(mixed)
        return Step(self.loss(output.logits, mixed), output, mixed)

    def ema_of(self, module: nn.Module, momentum: float, *, statistics: Statistics = "own") -> MovingAverage:
        """Return a copy of a module that follows it: a momentum encoder or a mean teacher, for ``setup``.

        Keep it as an attribute of the method: ``self.teacher = ctx.ema_of(ctx.engine.backbone, 0.999)``. It is called as the
        module is, is equal on all processes, moves once a global batch whatever the accumulation, and goes on after a restart
        where it was. Several modules are followed as one ``nn.Sequential(...)`` of them.

        Args:
            module: In its initial state; where ``fit`` changes it, the copy begins with what ``fit`` made.
            momentum: m of w <- m w + (1 - m) module.
            statistics: Of batch norm: ``own``, on the images that the copy sees in training, or ``followed``, in evaluation mode.
        """
        return MovingAverage(module, momentum, statistics)

    def features(self, split: str = "train", view: str = "plain") -> Bank:
        """Return the embeddings of a split under the backbone as it is now; cached where the backbone is frozen.

        What is held out is there to be measured on; a method that trained on it would be measured on what it has learned.

        Raises:
            ValueError: For a split that is none of ``splits``, or another view: a method never sees the test images.
        """
        return self._read_features(split, view)

    def gather(self, tensor: Tensor) -> Tensor:
        """Return a tensor's rows from all processes, joined along the first dimension; gradients go back the same way.

        A loss that reads how images of a batch lie to each other is computed from gathered rows, in full on every process.
        """
        return self._gather(tensor)

    def draw_beta(self, alpha: float, beta: float) -> float:
        """Return a number in [0, 1] from Beta(alpha, beta), the same for every part of a global batch: a share in mixtures."""
        seed = int(torch.randint(2**62, (), generator=self.generator))  # torch's Beta takes no generator; numpy's does
        return float(np.random.default_rng(seed).beta(alpha, beta))

    def partners(self, batch: Batch, *, views: int = 1) -> Partners:
        """Return an image of the global batch for every image of a part, to mix it with: the same one, however it is split.

        Args:
            batch: As drawn, or with other images in their place where it is the whole global batch.
            views: How many views of each are wanted, as ``partners.views``: all of the same image, so that both views of one are
                mixed with both views of the other.
        """
        return draw_partners(batch, self.generator, self.gather, views)
