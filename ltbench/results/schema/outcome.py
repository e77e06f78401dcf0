"""What came out, and what lies beside the record."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ltbench.results.schema.constraints import (
    Amount,
    Count,
    Fraction,
    Integer,
    NpzName,
    Number,
    Percent,
    SafetensorsName,
    ShiftName,
    Text,
    one_of,
)
from ltbench.results.schema.part import Part


class CurveRow(Part):
    """One epoch of a stage, or a moment within one, with the figures that methods measured under their own names."""

    stage: Integer = 1
    """Number of the stage, from 1."""
    epoch: Integer | None = None
    """Number of the epoch, from 1; 0 for what a method measures before the first one."""
    epochs: Integer | None = None
    """How many epochs the stage has."""
    part: Fraction | None = None
    """Between two epochs, how much of the next one was done as well; null at an epoch's end."""
    loss: Number | None = None
    """Mean training loss; null where it was no number."""
    rate: Number | None = None
    """Learning rate at the epoch's end."""
    train_accuracy: Number | None = None
    """Share of the training images of the epoch that were classified right, in percent."""


class ShotAccuracy(Part):
    """Mean accuracy of classes, in percent; null for a split without classes."""

    all: Percent | None
    """Over all classes."""
    many: Percent | None
    """Over classes of more than 100 training images, or than the first of ``protocol.splits``."""
    medium: Percent | None
    """Over classes of 20 to 100 training images, or from the second of ``protocol.splits`` to the first."""
    few: Percent | None
    """Over classes of fewer than 20 training images, or than the second of ``protocol.splits``."""


class TestedClasses(Part):
    """How many classes have a test image."""

    all: Count
    """Of all classes."""
    many: Count
    """Of the many."""
    medium: Count
    """Of the medium."""
    few: Count
    """Of the few."""


class ShiftFigures(Part):
    """Accuracy on a test set whose labels are distributed otherwise."""

    accuracy: Percent | None
    """Share of its images that were classified right, in percent; null for an empty set."""
    images: Count
    """How many images it has."""
    classes: Count
    """How many classes have an image in it."""
    sha256: Text
    """Hash of its images' positions."""


class PublishedShift(ShiftFigures):
    """Accuracy on a set that a paper published."""

    members: Text
    """One bit for each prediction, whether its image is in the set, the lowest bit of a byte first; base64."""


class LabelShift(Part):
    """Figures under label shift by the shift's name, for example ``forward50``."""

    published: dict[ShiftName, PublishedShift] = Field(default_factory=dict)
    """On published sets."""
    built: dict[ShiftName, ShiftFigures] = Field(default_factory=dict)
    """On sets that were built by rule from the test images."""


class Metrics(Part):
    """What came out. Every figure but ``extra`` follows from the predictions; a figure that does not exist is null."""

    accuracy: ShotAccuracy
    """Mean accuracy over classes, in percent."""
    tested_classes: TestedClasses | None = None
    """Over how many classes the means are; absent where every class has a test image."""
    balanced_error: Percent | None
    """100 minus the mean accuracy over classes."""
    worst_class: Percent | None
    """Accuracy of the worst class, in percent."""
    worst_tenth: Percent | None
    """Mean accuracy of the worst tenth of the classes, in percent."""
    harmonic_mean: Percent | None
    """Harmonic mean of the classes' accuracies, in percent."""
    ece: Fraction | None
    """Expected calibration error, from 0 to 1."""
    test_loss: Number | None
    """Mean negative log-probability of the true class, in nats."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Figures of plugins, by the plugin's metric."""
    label_shift: LabelShift = Field(default_factory=LabelShift)
    """Accuracy under label shift."""


class PerClass(Part):
    """Test images by class."""

    correct: list[Count]
    """Images of each class that were classified right, shape (C,)."""
    total: list[Count]
    """Test images of each class, shape (C,)."""


class Cost(Part):
    """What predicting one test image takes, and how much was trained for it."""

    parameters: Count
    """Of backbone and head."""
    operations: Count
    """Floating-point operations."""
    relative: Amount
    """Operations over those of a linear classifier on an unchanged backbone of the same name."""
    trainable: Count | None = None
    """Parameters that a stage trained, of backbone, head and methods: those of the stage that trained the most."""


class PredictionsFile(Part):
    """The predictions beside the record."""

    file: NpzName
    """Name of the file."""
    sha256: Text
    """Hash of the arrays' names, lengths and contents."""


class LogitsFile(Part):
    """The logits of the test images beside the record."""

    file: NpzName
    """Name of the file: one array, ``logits``, float32, in the order of the predictions, shape (images, classes)."""
    sha256: Text
    """Hash of the file."""


class GeometryFile(Part):
    """The tensors beside the record."""

    file: SafetensorsName
    """Name of the file."""
    sha256: Text
    """Hash of the file."""
    holds: Annotated[Literal["statistics", "features"], one_of("statistics", "features")]
    """What was kept: statistics of the features alone, or the features too."""
