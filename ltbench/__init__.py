"""ltbench: a benchmark suite for long-tailed recognition.

These are the names that plugins may import. They are loaded on first use, so that describing a plugin imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # "X as X" is how a typed package says that it exports a name
    from ltbench.api import Runs as Runs
    from ltbench.api import run as run
    from ltbench.backbones.request import BackboneRequest as BackboneRequest
    from ltbench.data.base import Dataset as Dataset
    from ltbench.data.base import ImageSource as ImageSource
    from ltbench.data.base import Parts as Parts
    from ltbench.data.base import TensorImages as TensorImages
    from ltbench.data.batch import Batch as Batch
    from ltbench.data.partners import Partners as Partners
    from ltbench.data.published import Published as Published
    from ltbench.data.published import Totals as Totals
    from ltbench.data.samplers import ClassAware as ClassAware
    from ltbench.data.samplers import ClassBalanced as ClassBalanced
    from ltbench.data.samplers import ClassReversed as ClassReversed
    from ltbench.data.samplers import InstanceBalanced as InstanceBalanced
    from ltbench.data.samplers import Sampler as Sampler
    from ltbench.data.samplers import SquareRoot as SquareRoot
    from ltbench.distances import euclidean_distance as euclidean_distance
    from ltbench.distances import pairwise_squared_distance as pairwise_squared_distance
    from ltbench.errors import MissingData as MissingData
    from ltbench.errors import UserError as UserError
    from ltbench.geometry_file import read_geometry as read_geometry
    from ltbench.heads import CosineClassifier as CosineClassifier
    from ltbench.heads import DistanceClassifier as DistanceClassifier
    from ltbench.hookspecs import hookimpl as hookimpl
    from ltbench.mapped import row_blocks as row_blocks
    from ltbench.method import Facts as Facts
    from ltbench.method import Method as Method
    from ltbench.method import Output as Output
    from ltbench.method import PaperSetting as PaperSetting
    from ltbench.method import ParameterGroup as ParameterGroup
    from ltbench.method import Seen as Seen
    from ltbench.method import Step as Step
    from ltbench.protocols import Protocol as Protocol
    from ltbench.records import read_record as read_record
    from ltbench.run_info import RunInfo as RunInfo
    from ltbench.search import Choice as Choice
    from ltbench.search import LogUniform as LogUniform
    from ltbench.search import Uniform as Uniform
    from ltbench.specs import BackboneSpec as BackboneSpec
    from ltbench.specs import DatasetSpec as DatasetSpec
    from ltbench.specs import MethodSpec as MethodSpec
    from ltbench.specs import MetricSpec as MetricSpec
    from ltbench.statistics import class_means as class_means
    from ltbench.task import Task as Task
    from ltbench.training.context import Bank as Bank
    from ltbench.training.context import Context as Context
    from ltbench.training.factories import BackboneFactory as BackboneFactory
    from ltbench.training.factories import Head as Head
    from ltbench.training.factories import HeadFactory as HeadFactory

# Type checkers want this list spelt out; a test holds it equal to the homes below.
__all__ = [
    "BackboneFactory",
    "BackboneRequest",
    "BackboneSpec",
    "Bank",
    "Batch",
    "Choice",
    "ClassAware",
    "ClassBalanced",
    "ClassReversed",
    "Context",
    "CosineClassifier",
    "Dataset",
    "DatasetSpec",
    "DistanceClassifier",
    "Facts",
    "Head",
    "HeadFactory",
    "ImageSource",
    "InstanceBalanced",
    "LogUniform",
    "Method",
    "MethodSpec",
    "MetricSpec",
    "MissingData",
    "Output",
    "PaperSetting",
    "ParameterGroup",
    "Partners",
    "Parts",
    "Protocol",
    "Published",
    "RunInfo",
    "Runs",
    "Sampler",
    "Seen",
    "SquareRoot",
    "Step",
    "Task",
    "TensorImages",
    "Totals",
    "Uniform",
    "UserError",
    "__version__",
    "class_means",
    "euclidean_distance",
    "hookimpl",
    "pairwise_squared_distance",
    "read_geometry",
    "read_record",
    "row_blocks",
    "run",
]

_HOMES = {
    "BackboneFactory": "ltbench.training.factories",
    "BackboneRequest": "ltbench.backbones.request",
    "BackboneSpec": "ltbench.specs",
    "Bank": "ltbench.training.context",
    "Batch": "ltbench.data.batch",
    "Choice": "ltbench.search",
    "ClassAware": "ltbench.data.samplers",
    "ClassBalanced": "ltbench.data.samplers",
    "ClassReversed": "ltbench.data.samplers",
    "Context": "ltbench.training.context",
    "CosineClassifier": "ltbench.heads",
    "Dataset": "ltbench.data.base",
    "DatasetSpec": "ltbench.specs",
    "DistanceClassifier": "ltbench.heads",
    "Facts": "ltbench.method",
    "Head": "ltbench.training.factories",
    "HeadFactory": "ltbench.training.factories",
    "ImageSource": "ltbench.data.base",
    "InstanceBalanced": "ltbench.data.samplers",
    "LogUniform": "ltbench.search",
    "Method": "ltbench.method",
    "MethodSpec": "ltbench.specs",
    "MetricSpec": "ltbench.specs",
    "MissingData": "ltbench.errors",
    "Output": "ltbench.method",
    "PaperSetting": "ltbench.method",
    "ParameterGroup": "ltbench.method",
    "Partners": "ltbench.data.partners",
    "Parts": "ltbench.data.base",
    "Protocol": "ltbench.protocols",
    "Published": "ltbench.data.published",
    "RunInfo": "ltbench.run_info",
    "Runs": "ltbench.api",
    "Sampler": "ltbench.data.samplers",
    "Seen": "ltbench.method",
    "SquareRoot": "ltbench.data.samplers",
    "Step": "ltbench.method",
    "Task": "ltbench.task",
    "TensorImages": "ltbench.data.base",
    "Totals": "ltbench.data.published",
    "Uniform": "ltbench.search",
    "UserError": "ltbench.errors",
    "class_means": "ltbench.statistics",
    "euclidean_distance": "ltbench.distances",
    "hookimpl": "ltbench.hookspecs",
    "pairwise_squared_distance": "ltbench.distances",
    "read_geometry": "ltbench.geometry_file",
    "read_record": "ltbench.records",
    "row_blocks": "ltbench.mapped",
    "run": "ltbench.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ltbench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
