"""Registration of the verb and of the metrics; imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ltbench import MetricSpec, hookimpl


@hookimpl
def ltbench_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``ltbench analyze``."""
    from ltbench_analysis.command import register

    register(commands)


@hookimpl
def ltbench_metrics() -> Iterable[MetricSpec]:
    """Describe figures on the last layer of every run."""
    return [
        MetricSpec("norms", "ltbench_analysis.metrics:norms", "coefficient of variation of norms of centroids and classifier"),
        MetricSpec("smallest_angles", "ltbench_analysis.metrics:smallest_angles",
                   "smallest pairwise angle of centered class means, and of classifier or prototypes"),
        MetricSpec("collapse", "ltbench_analysis.metrics:collapse", "class-distance normalized variance, and NC1 to NC4"),
    ]
