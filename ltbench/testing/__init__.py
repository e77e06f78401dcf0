"""The conformance kit: what every method, dataset and metric must do, built-in or a stranger's.

What enters is a check that a plugin's author can run. Imports ``leaderboard``, ``running`` and what lies below, but neither
``api`` nor ``trust``, its neighbors on the floor.

A whole test file is::

    from ltbench.testing import MethodConformance

    class TestMyMethod(MethodConformance):
        method = "my_method"

Checks train for two steps on real images, the digits that come with scikit-learn. :func:`check_method` does the same without
pytest, and ``ltbench plugin check`` on the command line.
"""

from __future__ import annotations

from ltbench.testing.dataset_kit import check_dataset
from ltbench.testing.kit import CHECKS, check_method
from ltbench.testing.many_classes import check_many_classes
from ltbench.testing.metric_kit import check_metric
from ltbench.testing.processes import check_two_processes
from ltbench.testing.results import Result
from ltbench.testing.suite import DatasetConformance, MethodConformance, MetricConformance

__all__ = [
    "CHECKS",
    "DatasetConformance",
    "MethodConformance",
    "MetricConformance",
    "Result",
    "check_dataset",
    "check_many_classes",
    "check_method",
    "check_metric",
    "check_two_processes",
]
