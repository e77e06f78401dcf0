"""What the core and a method hand to each other: facts, outputs, steps, and what a step has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from ltbench.data.batch import Batch


@dataclass(frozen=True, eq=False)
class Facts:
    """Tell a method what it may know of the task before any training.

    Args:
        class_counts: Realized training images of each class, int64, shape (C,).
        feature_dim: D, the width of the embedding that the backbone gives.
        epochs: Of the stage that the method is in.
        class_names: C of them, as the dataset has them, or as its folders and WordNet say where these are but numbers
            (``class 17``, which stays where nobody says more); none in a test that needs none.
    """

    class_counts: Tensor
    feature_dim: int
    epochs: int
    class_names: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_counts)

    @property
    def log_counts(self) -> Tensor:
        """Logarithms of the class counts, float64, shape (C,); a class without images counts as one with one."""
        return self.class_counts.double().clamp_min(1).log()

    @property
    def log_prior(self) -> Tensor:
        """Logarithms of the class frequencies, float64, shape (C,); a class without images counts as one with one."""
        counts = self.class_counts.double().clamp_min(1)
        return (counts / counts.sum()).log()


@dataclass
class Output:
    """Hold what the model says of a batch.

    Args:
        embedding: What the backbone gives, shape (B, D).
        features: What the classifier reads, shape (B, d): the embedding, or a projection of it.
        logits: Shape (B, C).
        extra: Anything more that a head wants its method to see, by name.
    """

    embedding: Tensor
    features: Tensor
    logits: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Step:
    """Hold what a training step gives.

    Args:
        loss: Scalar.
        output: Of the images whose labels are ``batch.labels``; extra losses and running statistics read it.
        batch: As trained on, after mixing.
        logs: Scalars for the training curve, such as the parts of the loss, by name; scaled as the loss is.
        rows: What ``after_step`` wants to see of every image, such as keys for a queue: by name, shape (B, ...), no gradient.
    """

    loss: Tensor
    output: Output
    batch: Batch
    logs: Mapping[str, Tensor] = field(default_factory=dict)
    rows: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Seen:
    """Hold the whole global batch after the optimizer's update, gathered over processes and accumulation steps.

    Args:
        features: Detached, shape (G, d).
        labels: Shape (G,); of the first image where images are mixed.
        indices: Positions in the training split, shape (G,).
        rows: What the step gave as its ``rows``, by name, shape (G, ...).
    """

    features: Tensor
    labels: Tensor
    indices: Tensor
    rows: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, joined: Mapping[str, Tensor]) -> Seen:
        """Sort what an engine's forward pass gave, gathered: features, labels, indices, and rows by their names."""
        own = ("features", "labels", "indices")
        rows = {name: rows for name, rows in joined.items() if name not in own}
        return cls(joined["features"], joined["labels"], joined["indices"], rows)
