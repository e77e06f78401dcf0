"""Training protocols: named, frozen sets of everything that must be equal for a comparison to be fair."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from ltbench.terms.shots import USUAL, Splits, splits_of

CUSTOM = "custom"
PAPER = "paper"
COMMON = "common"
TUNED = "tuned"  # from weights that others trained, see --init

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("constant", "step", "cosine", "one_cycle")
# What of a backbone with weights that others trained is trained on.
TUNES = ("all", "last", "norm", "bias")


@dataclass(frozen=True)
class Protocol:
    """Hold a protocol's settings; two records with equal protocols had equal terms.

    Milestones and warm-up are fractions of the training, so that a shorter run keeps its shape.

    Args:
        name: ``smoke``, ``quick``, ``common``, ``tuned``, ``paper``, or ``custom`` once anything was changed by hand.
        epochs: Passes over the training set in a stage that trains the backbone.
        batch_size: Images in a global batch, over all processes and accumulation steps. The last, incomplete batch of an epoch
            is left out.
        optimizer: ``sgd`` (Nesterov off) or ``adamw``.
        weight_decay: On every parameter of the stage that a method gives none of its own.
        schedule: ``constant``, ``step``, ``cosine`` (to 0) or ``one_cycle``.
        warmup: Fraction of the training with a linearly growing rate (before ``step`` and ``cosine``); the rising part of
            ``one_cycle``.
        milestones: Where ``step`` decays, as fractions of the training.
        gamma: By what ``step`` multiplies at each milestone.
        augmentation: Training augmentations in order, by the names that ``ltbench augmentations`` lists, each perhaps with
            options: ``randaugment(n=1,m=5)``.
        grad_clip: Largest gradient norm, or None.
        stage2_draws: Samples drawn by a learned later stage, as a multiple of the number of training images.
        stage2_samples: Their number, whatever the training set's size, in place of ``stage2_draws``; None for that.
        stage2_batch_size: Its global batch.
        stage2_lr: Its learning rate, where a method has none of its own.
        stage2_weight_decay: Its weight decay, where a method has none of its own.
        stage2_schedule: Its schedule, where a method has none of its own; warm-up does not apply to it.
        per_class: At most this many images a class, in training and in testing; None for all. Only for smoke tests.
        image_size: Height and width that image files are decoded to; None for the dataset's own.
        eval_flip: Whether probabilities are averaged over the image and its mirror image.
        eval_noise: Standard deviation of Gaussian noise on test images, in units of a normalized pixel; 0 for none.
        measure_every: Fraction of an epoch after which methods measure too, not at its end only; None for its end only. A stage
            in which nothing is measured has none.
        hold_out: Whether the images that tuning would hold out are left out of the training and shown to methods that measure.
        layer_decay: What each layer of the backbone has of the learning rate of the layer above it, the head above them all;
            None for one rate.
        splits: Where many, medium and few part: many has more training images than the first, few has fewer than the second.
            Nothing that is trained or predicted depends on it, nor do figures that methods measure while they train.
    """

    name: str
    backbone: str
    epochs: int
    batch_size: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["constant", "step", "cosine", "one_cycle"] = "cosine"
    warmup: float = 0.025
    milestones: tuple[float, ...] = (0.8, 0.9)
    gamma: float = 0.1
    augmentation: tuple[str, ...] = ("crop", "flip")
    grad_clip: float | None = None
    stage2_draws: float = 10.0
    stage2_samples: int | None = None
    stage2_batch_size: int = 128
    stage2_lr: float = 0.1
    stage2_weight_decay: float = 5e-4
    stage2_schedule: Literal["constant", "step", "cosine"] = "cosine"
    per_class: int | None = None
    image_size: int | None = None
    eval_flip: bool = False
    eval_noise: float = 0.0
    measure_every: float | None = None
    hold_out: bool = False
    layer_decay: float | None = None
    splits: Splits = USUAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        object.__setattr__(self, "augmentation", tuple(self.augmentation))
        object.__setattr__(self, "splits", splits_of(self.splits))
        for name in ("epochs", "batch_size", "stage2_batch_size", "stage2_samples", "per_class", "image_size"):
            value = getattr(self, name)
            optional = name in ("stage2_samples", "per_class", "image_size")
            if not (isinstance(value, int) and value >= 1 or optional and value is None):
                raise ValueError(f"{name} must be an integer >= 1, got {value}")
        for name in ("lr", "gamma", "stage2_draws", "stage2_lr", "grad_clip"):
            value = getattr(self, name)
            if not (name == "grad_clip" and value is None or 0 < value < math.inf):
                raise ValueError(f"{name} must be > 0 and finite, got {value}")
        for name in ("momentum", "weight_decay", "stage2_weight_decay", "eval_noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")
        if self.measure_every is not None and not 0 < self.measure_every < 1:
            raise ValueError(f"measure_every must be a fraction of an epoch above 0 and below 1, got {self.measure_every}")
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must be in (0, 1], got {self.layer_decay}")
        for name in ("eval_flip", "hold_out"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")
        for name in ("name", "backbone"):
            if not (isinstance(getattr(self, name), str) and getattr(self, name)):
                raise ValueError(f"{name} must be a text that is not empty, got {getattr(self, name)!r}")
        for name, values in (("warmup", (self.warmup,)), ("milestones", self.milestones)):
            if not all(0 <= value < 1 for value in values):
                raise ValueError(f"{name} must be fractions of the training in [0, 1), got {getattr(self, name)}")
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("stage2_schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not all(isinstance(name, str) and name for name in self.augmentation):  # which there are, plugins say
            raise ValueError(f"augmentation must be names, got {self.augmentation}")

    def replace(self, **changes: Any) -> Protocol:
        """Return a copy with some settings changed; it is named ``custom`` if any of them really differs."""
        changed = dataclasses.replace(self, **changes)
        return changed if changed == self else dataclasses.replace(changed, name=changes.get("name", CUSTOM))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        values = dataclasses.asdict(self)
        for name in ("stage2_samples", "image_size", "measure_every", "hold_out", "layer_decay", "splits"):
            if values[name] is None or values[name] is False or values[name] == USUAL:  # it says nothing: earlier keys stay
                del values[name]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Protocol:
        """Rebuild a protocol from :meth:`as_dict`'s result."""
        return cls(**values)
