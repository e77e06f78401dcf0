"""What a record holds: one model, from which reading, writing, checking and the published JSON Schema follow.

Fields that no model knows are kept as they are, since a later version may say more, and a field that was absent stays absent when
a record is written again. Models hold what JSON does: numbers are finite, and an integer stays one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field

from ltbench.results.constraints import (
    Amount,
    Boolean,
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

SCHEMA = 1
Status: TypeAlias = Literal["completed", "diverged", "failed"]
Selection: TypeAlias = Literal["last", "val", "test"]


class Part(BaseModel):
    """Hold a part of a record."""

    model_config = ConfigDict(strict=True, extra="allow", use_attribute_docstrings=True, serialize_by_alias=True,
                              protected_namespaces=())

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON holds of it: unknown fields are there, and absent ones are not."""
        return self.model_dump(exclude_unset=True)


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


class RecordedSplit(Part):
    """The images that the task made of the dataset."""

    hash: Text
    """Hash of the training images' positions, sha256 in hexadecimal."""
    class_counts: list[Count]
    """Training images of each class, shape (C,)."""
    test_counts: list[Count]
    """Test images of each class, shape (C,)."""
    images: Text | None = None
    """Which images a dataset's name stands for, where it may stand for others."""
    unreadable: Unreadable | None = None
    """Images that were left out; absent where all could be read."""


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
    """The ltbench that ran."""

    version: Text
    """Its version."""
    commit: Text | None
    """Commit of its repository; null outside one."""
    dirty: Boolean | None
    """Whether the code had changes that the commit does not hold."""


class CurveRow(Part):
    """One epoch of a stage, with the figures that methods measured under their own names."""

    stage: Integer = 1
    """Number of the stage, from 1."""
    epoch: Integer | None = None
    """Number of the epoch, from 1; 0 for what a method measures before the first one."""
    epochs: Integer | None = None
    """How many epochs the stage has."""
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
    """Over classes of more than 100 training images."""
    medium: Percent | None
    """Over classes of 20 to 100 training images."""
    few: Percent | None
    """Over classes of fewer than 20 training images."""


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
    """What predicting one test image takes."""

    parameters: Count
    """Of backbone and head."""
    operations: Count
    """Floating-point operations."""
    relative: Amount
    """Operations over those of a linear classifier on an unchanged backbone of the same name."""


class PredictionsFile(Part):
    """The predictions beside the record."""

    file: NpzName
    """Name of the file."""
    sha256: Text
    """Hash of the arrays' names, lengths and contents."""


class GeometryFile(Part):
    """The tensors beside the record."""

    file: SafetensorsName
    """Name of the file."""
    sha256: Text
    """Hash of the file."""
    holds: Annotated[Literal["statistics", "features"], one_of("statistics", "features")]
    """What was kept: statistics of the features alone, or the features too."""


class Timing(Part):
    """How long a run took, and how much memory; its own circumstances, which no other run need repeat."""

    seconds: dict[str, Amount | None]
    """Phase -> seconds; a stage says how long its training took, wherever that was."""
    peak_memory_bytes: dict[str, Count | None]
    """Phase -> largest memory in bytes, and that of the whole ``process``."""
    reused: dict[str, Boolean] = Field(default_factory=dict)
    """Stage -> whether its result was found rather than trained by this run."""


class Environment(Part):
    """What the run ran on, without saying whose machine it was."""

    world_size: Count | None = None
    """Number of processes."""
    accumulation: Count | None = None
    """Parts that each process split its share of a global batch into."""
    batch_per_device: Count | None = None
    """Images in one such part."""
    evaluation: Text | None = None
    """Precision of the evaluation; absent where it was fp32 of old."""
    compiled: Boolean | None = None
    """Whether training steps were compiled."""
    sync_batch_norm: Boolean | None = None
    """Whether batch norm looked at the images of all processes."""
    device: Text | None = None
    """Name of the accelerator, or ``cpu``."""
    cuda: Text | None = None
    """Version of CUDA; null without."""
    processor: Text | None = None
    """Kind of processor."""
    cores: Count | None = None
    """Number of its cores."""
    threads: Count | None = None
    """CPU threads of each process."""
    system: Text | None = None
    """Operating system."""
    python: Text | None = None
    """Version of Python."""
    libraries: dict[str, Text | None] = Field(default_factory=dict)
    """Library -> version."""


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


class Pretraining(Part):
    """Where a first stage came from that ltbench did not train."""

    kind: Annotated[Literal["stage1", "weights"], one_of("stage1", "weights")]
    """A first stage of the task itself, or weights that were pre-trained elsewhere."""
    source: Annotated[Literal["file", "timm"], one_of("file", "timm")]
    """A user's file, or a model of timm."""
    sha256: Text
    """Hash of the weights."""
    model: Text | None = None
    """Name of the model."""
    input: ImageInput | None = None
    """How it takes images."""


class SearchRange(Part):
    """Where a hyperparameter was searched."""

    kind: Annotated[Literal["uniform", "log_uniform", "choice"], one_of("uniform", "log_uniform", "choice")]
    """How values were drawn."""
    low: Number | None = None
    """Lower end; absent for a choice."""
    high: Number | None = None
    """Upper end; absent for a choice."""
    values: list[Any] | None = None
    """What was chosen from; absent for a range."""


class Sampler(Part):
    """What proposed the values."""

    name: Text
    """Its name."""
    seed: Count
    """Its seed."""
    optuna: Text
    """Version of Optuna."""


class Budget(Part):
    """What the search might spend."""

    trials: Count
    """Number of trials."""
    protocol: RecordedProtocol
    """Settings of each trial."""


class Validation(Part):
    """The images that trials were judged by."""

    source: Annotated[Literal["held out", "own"], one_of("held out", "own")]
    """Held out of the training images, or the dataset's own validation part."""
    counts: list[Count]
    """Images of each class, shape (C,)."""
    sha256: Text
    """Hash of their positions."""


class Trial(Part):
    """One trial."""

    values: dict[str, Any]
    """``method.hyperparameter`` -> value."""
    score: Percent | None
    """Mean accuracy over classes on the validation images, in percent; null for values that a method refused."""
    status: Annotated[Literal["completed", "diverged", "refused"], one_of("completed", "diverged", "refused")]
    """How it ended."""


class Tuning(Part):
    """How hyperparameters were chosen."""

    expression: Text
    """What was tuned."""
    space: dict[str, SearchRange]
    """``method.hyperparameter`` -> where it was searched."""
    sampler: Sampler
    """What proposed the values."""
    budget: Budget
    """What the search might spend."""
    validation: Validation
    """What trials were judged by."""
    trials: list[Trial]
    """All trials, in their order."""
    chosen: Count | None
    """Position in ``trials`` of the values that the run has; null where there were none."""


class Record(Part):
    """One run: what it was, how it went and what came out."""

    schema_version: Literal[1] = Field(alias="schema")
    """Version of this form."""
    expression: Text
    """The methods, canonical: ``+`` joins those of a stage, ``/`` separates stages."""
    expression_hash: Text
    """Hash of the methods with all their hyperparameters, sha256 in hexadecimal."""
    key: Text
    """Hash of everything that the result depends on, sha256 in hexadecimal."""
    track: Text
    """``common`` (one protocol for all methods) or ``paper`` (each method's own)."""
    selection: Annotated[Selection, one_of(*get_args(Selection))]
    """Which epoch was evaluated: ``last``, or the best by ``val`` or, in reports from outside only, ``test`` images."""
    stages: list[RecordedStage]
    """The stages, in order."""
    task: RecordedTask
    """What was learned."""
    split: RecordedSplit
    """The images that the task made of the dataset."""
    protocol: RecordedProtocol
    """Settings that all rows of a table share."""
    precision: Text
    """Of the training, for example ``fp32``."""
    external: Text | None
    """Hash of a first stage or of weights from elsewhere; null where all was trained on the task alone."""
    core: Core
    """The ltbench that ran."""
    status: Annotated[Status, one_of(*get_args(Status))]
    """How the run ended."""
    reason: Text | None
    """Why it did not complete; null for a completed run."""
    curve: list[CurveRow]
    """Every epoch of every stage."""
    metrics: Metrics | None
    """What came out; null unless the run completed."""
    per_class: PerClass | None
    """Test images by class; null unless the run completed."""
    predictions: PredictionsFile | None
    """The predictions beside the record; null unless the run completed."""
    timing: Timing
    """How long it took and how much memory."""
    environment: Environment
    """What it ran on."""
    geometry: GeometryFile | None = None
    """The tensors beside the record; null or absent where none were kept."""
    paper: Text | None = None
    """Method on whose paper's terms a run of the paper track was; null otherwise."""
    tuning_trials: Count = 0
    """How many trials chose hyperparameters of it."""
    tuning: Tuning | None = None
    """How they were chosen; absent where nothing was tuned."""
    cost: Cost | None = None
    """What predicting an image takes; null unless the run completed."""
    pretraining: Pretraining | None = None
    """Where the first stage or its weights came from; null where ltbench trained it."""
