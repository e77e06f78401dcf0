"""The record of one run."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from ltbench.results.schema.circumstances import Environment, Timing
from ltbench.results.schema.constraints import Count, Text, one_of
from ltbench.results.schema.outcome import Cost, CurveRow, GeometryFile, LogitsFile, Metrics, PerClass, PredictionsFile
from ltbench.results.schema.part import Part
from ltbench.results.schema.setting import Core, Pretraining, RecordedProtocol, RecordedSplit, RecordedStage, RecordedTask
from ltbench.results.schema.tuning import Tuning

SCHEMA = 1
Status: TypeAlias = Literal["completed", "diverged", "failed"]
Selection: TypeAlias = Literal["last", "val", "test"]


class Record(Part):
    """One run: what it was, how it went and what came out."""

    schema_version: Literal[1] = Field(alias="schema")
    """Version of this form."""
    expression: Text
    """The methods, canonical: ``+`` joins those of a stage, ``/`` separates stages."""
    typed: Text | None = None
    """The same with the methods of a stage in the order in which they were typed; absent where that is the canonical one."""
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
    """Its training and test images."""
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
    logits: LogitsFile | None = None
    """The logits beside the record; null or absent where none were kept."""
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
