"""What a record holds: one model, from which reading, writing, checking and the published JSON Schema follow.

Fields that no model knows are kept as they are, since a later version may say more, and a field that was absent stays absent when
a record is written again. Models hold what JSON does: numbers are finite, and an integer stays one.
"""

from __future__ import annotations

from ltbench.results.schema.circumstances import Environment, Timing
from ltbench.results.schema.outcome import (
    Cost,
    CurveRow,
    GeometryFile,
    LabelShift,
    LogitsFile,
    Metrics,
    PerClass,
    PredictionsFile,
    PublishedShift,
    ShiftFigures,
    ShotAccuracy,
    TestedClasses,
)
from ltbench.results.schema.part import Part
from ltbench.results.schema.record import SCHEMA, Record
from ltbench.results.schema.setting import (
    Core,
    ImageInput,
    Pretraining,
    RecordedMethod,
    RecordedProtocol,
    RecordedSplit,
    RecordedStage,
    RecordedTask,
    Unreadable,
)
from ltbench.results.schema.tuning import Budget, Sampler, SearchRange, Trial, Tuning, Validation

__all__ = [
    "SCHEMA",
    "Budget",
    "Core",
    "Cost",
    "CurveRow",
    "Environment",
    "GeometryFile",
    "ImageInput",
    "LabelShift",
    "LogitsFile",
    "Metrics",
    "Part",
    "PerClass",
    "PredictionsFile",
    "Pretraining",
    "PublishedShift",
    "Record",
    "RecordedMethod",
    "RecordedProtocol",
    "RecordedSplit",
    "RecordedStage",
    "RecordedTask",
    "Sampler",
    "SearchRange",
    "ShiftFigures",
    "ShotAccuracy",
    "TestedClasses",
    "Timing",
    "Trial",
    "Tuning",
    "Unreadable",
    "Validation",
]
