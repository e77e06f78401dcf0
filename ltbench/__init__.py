"""ltbench: a benchmark suite for long-tailed recognition.

These are the names that plugins may import. They are loaded on first use, so that describing a plugin imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ltbench.version import __version__

importlib.import_module("ltbench.system.launcher")  # which reads at once what started this process

if TYPE_CHECKING:  # "X as X" is how a typed package says that it exports a name
    from ltbench.api import load as load
    from ltbench.api import run as run
    from ltbench.backbones.request import BackboneRequest as BackboneRequest
    from ltbench.data.augmentation import Augmentation as Augmentation
    from ltbench.data.augmentation import ImageFacts as ImageFacts
    from ltbench.data.augmentation import OneByOne as OneByOne
    from ltbench.data.base import Dataset as Dataset
    from ltbench.data.batch import Batch as Batch
    from ltbench.data.naming import class_names as class_names
    from ltbench.data.partners import Partners as Partners
    from ltbench.data.parts import ImageSource as ImageSource
    from ltbench.data.parts import Parts as Parts
    from ltbench.data.parts import TensorImages as TensorImages
    from ltbench.data.published import Published as Published
    from ltbench.data.published import Totals as Totals
    from ltbench.data.samplers import ClassAware as ClassAware
    from ltbench.data.samplers import ClassBalanced as ClassBalanced
    from ltbench.data.samplers import ClassReversed as ClassReversed
    from ltbench.data.samplers import InstanceBalanced as InstanceBalanced
    from ltbench.data.samplers import OfClasses as OfClasses
    from ltbench.data.samplers import Sampler as Sampler
    from ltbench.data.samplers import SquareRoot as SquareRoot
    from ltbench.errors import MissingData as MissingData
    from ltbench.errors import UserError as UserError
    from ltbench.leaderboard.runs import Runs as Runs
    from ltbench.method.class_distances import class_distance_normalized_variance as class_distance_normalized_variance
    from ltbench.method.class_files import ClassFile as ClassFile
    from ltbench.method.class_files import words_of as words_of
    from ltbench.method.class_means import class_centroids as class_centroids
    from ltbench.method.class_means import class_means as class_means
    from ltbench.method.context import Bank as Bank
    from ltbench.method.context import Context as Context
    from ltbench.method.contract import Method as Method
    from ltbench.method.contract import PaperSetting as PaperSetting
    from ltbench.method.contract import ParameterGroup as ParameterGroup
    from ltbench.method.distances import euclidean_distance as euclidean_distance
    from ltbench.method.distances import pairwise_squared_distance as pairwise_squared_distance
    from ltbench.method.experts import ExpertBackbone as ExpertBackbone
    from ltbench.method.experts import ExpertHead as ExpertHead
    from ltbench.method.factories import BackboneFactory as BackboneFactory
    from ltbench.method.factories import Head as Head
    from ltbench.method.factories import HeadFactory as HeadFactory
    from ltbench.method.heads import CosineClassifier as CosineClassifier
    from ltbench.method.heads import DistanceClassifier as DistanceClassifier
    from ltbench.method.kinds import kind_of as kind_of
    from ltbench.method.moving_average import MovingAverage as MovingAverage
    from ltbench.method.reused_classifier import ReusedClassifier as ReusedClassifier
    from ltbench.method.search import Choice as Choice
    from ltbench.method.search import LogUniform as LogUniform
    from ltbench.method.search import Uniform as Uniform
    from ltbench.method.values import Facts as Facts
    from ltbench.method.values import Output as Output
    from ltbench.method.values import Seen as Seen
    from ltbench.method.values import Step as Step
    from ltbench.registry.discovery import load_method as load_method
    from ltbench.registry.hookspecs import hookimpl as hookimpl
    from ltbench.registry.run_info import RunInfo as RunInfo
    from ltbench.registry.specs import AugmentationSpec as AugmentationSpec
    from ltbench.registry.specs import BackboneSpec as BackboneSpec
    from ltbench.registry.specs import DatasetSpec as DatasetSpec
    from ltbench.registry.specs import MethodSpec as MethodSpec
    from ltbench.registry.specs import MetricSpec as MetricSpec
    from ltbench.results.interval import mean_interval as mean_interval
    from ltbench.results.records import read_geometry as read_geometry
    from ltbench.results.records import read_record as read_record
    from ltbench.results.schema import Record as Record
    from ltbench.system.mapped import row_blocks as row_blocks
    from ltbench.terms.protocol import Protocol as Protocol
    from ltbench.terms.ranges import Fraction as Fraction
    from ltbench.terms.ranges import Interval as Interval
    from ltbench.terms.ranges import NonNegative as NonNegative
    from ltbench.terms.ranges import Positive as Positive
    from ltbench.terms.shots import shot_splits as shot_splits
    from ltbench.terms.task import Task as Task

# Where each public name is at home.
_HOMES = {
    "Augmentation": "ltbench.data.augmentation",
    "AugmentationSpec": "ltbench.registry.specs",
    "BackboneFactory": "ltbench.method.factories",
    "BackboneRequest": "ltbench.backbones.request",
    "BackboneSpec": "ltbench.registry.specs",
    "Bank": "ltbench.method.context",
    "Batch": "ltbench.data.batch",
    "Choice": "ltbench.method.search",
    "ClassAware": "ltbench.data.samplers",
    "ClassBalanced": "ltbench.data.samplers",
    "ClassReversed": "ltbench.data.samplers",
    "ClassFile": "ltbench.method.class_files",
    "Context": "ltbench.method.context",
    "CosineClassifier": "ltbench.method.heads",
    "Dataset": "ltbench.data.base",
    "DatasetSpec": "ltbench.registry.specs",
    "DistanceClassifier": "ltbench.method.heads",
    "ExpertBackbone": "ltbench.method.experts",
    "ExpertHead": "ltbench.method.experts",
    "Facts": "ltbench.method.values",
    "Fraction": "ltbench.terms.ranges",
    "Head": "ltbench.method.factories",
    "HeadFactory": "ltbench.method.factories",
    "ImageFacts": "ltbench.data.augmentation",
    "ImageSource": "ltbench.data.parts",
    "InstanceBalanced": "ltbench.data.samplers",
    "Interval": "ltbench.terms.ranges",
    "LogUniform": "ltbench.method.search",
    "Method": "ltbench.method.contract",
    "MethodSpec": "ltbench.registry.specs",
    "MetricSpec": "ltbench.registry.specs",
    "MissingData": "ltbench.errors",
    "MovingAverage": "ltbench.method.moving_average",
    "NonNegative": "ltbench.terms.ranges",
    "OfClasses": "ltbench.data.samplers",
    "OneByOne": "ltbench.data.augmentation",
    "Output": "ltbench.method.values",
    "PaperSetting": "ltbench.method.contract",
    "ParameterGroup": "ltbench.method.contract",
    "Partners": "ltbench.data.partners",
    "Parts": "ltbench.data.parts",
    "Positive": "ltbench.terms.ranges",
    "Protocol": "ltbench.terms.protocol",
    "Published": "ltbench.data.published",
    "Record": "ltbench.results.schema",
    "ReusedClassifier": "ltbench.method.reused_classifier",
    "RunInfo": "ltbench.registry.run_info",
    "Runs": "ltbench.leaderboard.runs",
    "Sampler": "ltbench.data.samplers",
    "Seen": "ltbench.method.values",
    "SquareRoot": "ltbench.data.samplers",
    "Step": "ltbench.method.values",
    "Task": "ltbench.terms.task",
    "TensorImages": "ltbench.data.parts",
    "Totals": "ltbench.data.published",
    "Uniform": "ltbench.method.search",
    "UserError": "ltbench.errors",
    "class_centroids": "ltbench.method.class_means",
    "class_distance_normalized_variance": "ltbench.method.class_distances",
    "class_means": "ltbench.method.class_means",
    "class_names": "ltbench.data.naming",
    "euclidean_distance": "ltbench.method.distances",
    "hookimpl": "ltbench.registry.hookspecs",
    "load": "ltbench.api",
    "load_method": "ltbench.registry.discovery",
    "kind_of": "ltbench.method.kinds",
    "mean_interval": "ltbench.results.interval",
    "pairwise_squared_distance": "ltbench.method.distances",
    "read_geometry": "ltbench.results.records",
    "read_record": "ltbench.results.records",
    "row_blocks": "ltbench.system.mapped",
    "run": "ltbench.api",
    "shot_splits": "ltbench.terms.shots",
    "words_of": "ltbench.method.class_files",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ltbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)  # what users complete: the public names alone
