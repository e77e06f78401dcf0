"""The contract of a method: one class, whose slots all have defaults; a method overrides only what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ltbench.method.values import Facts, Output, Seen, Step  # at run time: hyperparameters are read off annotations
from ltbench.terms.ranges import checked

if TYPE_CHECKING:
    from ltbench.data.batch import Batch
    from ltbench.data.samplers import Sampler
    from ltbench.method.context import Context
    from ltbench.method.factories import BackboneFactory, HeadFactory
    from ltbench.terms.task import Task


MADE, KEPT = "made", "kept"


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Give some parameters an optimization of their own; None follows the protocol.

    Args:
        parameters: Of this method or of its head.
        lr: Peak learning rate.
        weight_decay: Their own.
        momentum: Of SGD.
        clip_norm: Largest norm of the group's gradient.
        schedule: ``follow`` the protocol's schedule, or keep the rate ``constant``.
    """

    parameters: Iterable[nn.Parameter]
    lr: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    clip_norm: float | None = None
    schedule: Literal["follow", "constant"] = "follow"


@dataclass(frozen=True)
class PaperSetting:
    """State how a method's own paper runs it on one dataset.

    Args:
        protocol: Changes to the dataset's common protocol, by field name.
        hyperparameters: Where they differ from the constructor's defaults.
        companions: Methods that the paper always adds to the stage.
        stage1: For a later stage: the expression that the paper stands on.
        stage1_protocol: For a later stage: how the paper trains a first stage that states no setting of its own, as changes to
            the dataset's common protocol.
        alternatives: Further values of protocol fields that the paper prints rows for (``backbone``, ``epochs``); a user may
            ask for one of these, and for no other. A mapping says what else the paper changes with a value.
    """

    protocol: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    companions: tuple[str, ...] = ()
    stage1: str | None = None
    stage1_protocol: Mapping[str, Any] = field(default_factory=dict)
    alternatives: Mapping[str, tuple[Any, ...] | Mapping[Any, Mapping[str, Any]]] = field(default_factory=dict)


class Method(nn.Module):
    """Be one part of a training recipe.

    A stack holds one instance of each of its methods. Parameters and buffers of the instance are trained, saved and restored
    with the model; keep every state there, for nothing else survives a restart.

    Args:
        facts: What is known of the task.

    Attributes:
        name: What the user types; the same as the spec's.
        stages: The stages it fits; a third stage counts as 2.
        reference: Authors and year of its paper, for listings, where no spec says so: in a file without hooks.
        per_part: As in :class:`MethodSpec`, where no spec says so.
        trains: Whether a later stage with this method takes gradient steps; False for closed-form methods.
        inputs: What a later stage trains on: ``images``, or cached ``features``; None for no opinion.
        backbone: In a later stage: ``frozen``, ``drifting`` (weights frozen, batch-norm statistics in training mode),
            ``tuned``, or ``fresh``: a new one, trained with the budget and rates of a first stage, such as a pupil of the stage
            before. None for no opinion. All but the first need ``images``.
        reduction: How the losses of a global batch become one: ``mean``, weighted, or ``sum``, for papers whose rates are printed
            for a sum; None for no opinion, which is the mean.
        below: For a later stage: the expression that it stands on where the user typed none, in the common track; None for
            the base method.
        needs: For a later stage: the kinds of classifier (:func:`ltbench.kind_of`) that it can go on from; none for any. A run
            whose stage before leaves another is refused before any data is read.
        yields: Slots with one owner that it leaves to any other method of the stack that owns them, such as the loss of a paper
            whose subject is something else.
        leaves: Of a method that owns ``make_classifier`` or ``build_head``: the kind that it ends with; ``made`` for what the
            stack's ``make_classifier`` makes, ``kept`` for that of the stage before. None leaves it open until the run.
    """

    name: ClassVar[str]
    stages: ClassVar[frozenset[int]]
    reference: ClassVar[str] = ""
    per_part: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    inputs: Literal["images", "features"] | None = None
    backbone: Literal["frozen", "drifting", "tuned", "fresh"] | None = None
    reduction: Literal["mean", "sum"] | None = None
    below: ClassVar[str | None] = None
    needs: frozenset[str] = frozenset()
    yields: ClassVar[frozenset[str]] = frozenset()
    leaves: str | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Let every constructor check its hyperparameters against their annotations before it runs."""
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.facts = facts

    @classmethod
    def paper(cls, task: Task) -> PaperSetting | None:
        """Return the paper's own setting for a task, or None where the paper has none."""
        return None

    def protocol_overrides(self) -> Mapping[str, Any]:
        """Return changes to the stage's protocol that *are* the method; they enter the key and the row as tuned."""
        return {}

    # Slots with one owner -------------------------------------------------------------------------------------------------

    def build_backbone(self, make: BackboneFactory) -> nn.Module:
        """Return the backbone, images (B, channels, H, W) -> embedding (B, D), with an int ``feature_dim``.

        Asked in a first stage, and in a later one whose backbone is ``tuned`` or ``fresh``.
        """
        return make.full()

    def make_classifier(self, feature_dim: int, num_classes: int) -> nn.Module:
        """Return a module, features (B, d) -> logits (B, C)."""
        return nn.Linear(feature_dim, num_classes)

    def build_head(self, make: HeadFactory) -> nn.Module:
        """Return a module, embedding (B, D) -> :class:`Output`."""
        return make.head(make.classifier())

    def streams(self, ctx: Context) -> Mapping[str, Sampler]:
        """Return the samplers that an epoch draws from, by name; ``main`` is what the default step trains on."""
        return ctx.default_streams()

    def views(self, ctx: Context) -> tuple[tuple[str, ...], ...]:
        """Return the augmentations that every sample comes in, one tuple of names a view.

        Names are those that ``ltbench augmentations`` lists, each perhaps with options: ``("crop", "flip", "randaugment(n=1)")``.
        Each view of an image has random numbers of its own. Asked while a run is planned too, when ``ctx.protocol``,
        ``ctx.facts`` and ``ctx.stage`` are all that is known.
        """
        return (ctx.protocol.augmentation,)

    def mix(self, ctx: Context, batch: Batch) -> Batch:
        """Return the batch with mixed images and weighted targets.

        Further views stay as drawn. A method that mixes in its step overrides this too, returning the batch as it is: owning
        it says that no other method may mix what the step mixes already.
        """
        return batch

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample, shape (B,); in training only."""
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    def sample_losses(self, ctx: Context, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample, shape (B,): the form of ``criterion`` that may ask the context; override one of them.

        For what depends on the epoch, on the stage before or on random numbers: those for each image are drawn for the global
        batch and cut by ``ctx.batch.rows_of``. Asked once for each target where images are mixed, and for each expert.
        """
        return self.criterion(logits, labels)

    def step(self, ctx: Context, batches: Mapping[str, Batch]) -> Step:
        """Do the whole training step, with a batch of every stream; all are of the same size.

        Use the stack's parts, so that other methods of it count: ``ctx.mix``, ``ctx.forward``, ``ctx.loss``.
        """
        return ctx.default_step(batches["main"])

    def predict(self, ctx: Context, output: Output) -> Tensor:
        """Return logits (B, C) whose softmax is the probability, for evaluation."""
        return output.logits

    def test_views(self, ctx: Context, images: Tensor) -> Sequence[Tensor]:
        """Return the images that stand for each image in evaluation, such as crops of it; their logits are averaged.

        Args:
            images: Normalized, shape (B, channels, H, W).

        Returns:
            Batches of the same shape.
        """
        return (images,)

    # Slots that several methods share -------------------------------------------------------------------------------------

    def class_weights(self, ctx: Context) -> Tensor | None:
        """Return the weight of each class in the loss, shape (C,); several are multiplied.

        Asked anew for every loss: ``ctx.global_labels`` are the labels of the global batch that it is of.
        """
        return None

    def extra_losses(self, ctx: Context, step: Step) -> Mapping[str, Tensor]:
        """Return scalars to add to the loss, each logged by its name."""
        return {}

    def adjust_logits(self, ctx: Context, logits: Tensor) -> Tensor:
        """Return changed logits (B, C), in evaluation only; several are chained, left to right."""
        return logits

    def parameter_groups(self, ctx: Context) -> list[ParameterGroup]:
        """Return the parameters that are optimized in a way of their own."""
        return []

    def measure(self, ctx: Context) -> Mapping[str, float]:
        """Return figures for the training curve, by name: before the first step (a row of epoch 0) and after every epoch.

        Where a run asks for it, called within epochs too. Called on every process, with gradients off and the model in evaluation
        mode; it must change nothing.
        """
        return {}

    def fit(self, ctx: Context) -> None:
        """Do the closed-form part of a stage, before any step: centroids, norms, a starting point."""

    def setup(self, ctx: Context) -> None:
        """Prepare, once, when the model has been built and before anything is restored into it."""

    def start_epoch(self, ctx: Context) -> None:
        """Act before the first batch of an epoch."""

    def after_step(self, ctx: Context, seen: Seen) -> None:
        """Act after the optimizer's update, once a global batch, equally on every process."""

    def end_epoch(self, ctx: Context) -> None:
        """Act after the last batch of an epoch, before saving and evaluation."""
