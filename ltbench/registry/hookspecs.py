"""Every hook of ltbench: this file is the plugin manual.

A plugin is a module (or any object) that marks functions with ``ltbench.hookimpl`` and is named by an entry point::

    [project.entry-points.ltbench]
    my_plugin = "my_package.plugin"

Hooks register and observe; what a method *does* is in its class (``ltbench.Method``). A hook may take fewer arguments than it
is offered. There is no hook for what fairness needs fixed: seeds, the test images, checkpoint selection, split thresholds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from ltbench.registry.specs import AugmentationSpec, BackboneSpec, DatasetSpec, MethodSpec, MetricSpec

if TYPE_CHECKING:
    from ltbench.registry.run_info import RunInfo

GROUP = "ltbench"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def ltbench_methods() -> Iterable[MethodSpec]:  # type: ignore[empty-body]
    """Return a light description of each method that this plugin contributes.

    Called once, before any data is read; naming a method must not import it. Two plugins offering the same name is an error:
    ltbench never picks a winner.
    """


@hookspec
def ltbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Return a light description of each dataset that this plugin contributes; the same terms as for methods.

    A name that ends with a colon is a family, of which a user names a member: ``folder:PATH``.
    """


@hookspec
def ltbench_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]
    """Return a light description of each backbone that this plugin contributes; the same terms as for methods."""


@hookspec
def ltbench_augmentations() -> Iterable[AugmentationSpec]:  # type: ignore[empty-body]
    """Return a light description of each augmentation that this plugin contributes; the same terms as for methods.

    A method's ``views``, a paper's setting and a dataset's protocols name them, with options where wanted: ``jitter(hue=0.1)``.
    """


@hookspec
def ltbench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Return a light description of figures that this plugin adds to every record; the same terms as for methods.

    They are computed at the end of a run from statistics of the training features, the head and the methods' tensors. They
    describe a model and never rank it.
    """


@hookspec
def ltbench_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add verbs to the command line.

    Call ``commands.add_parser(name, help=...)`` and set its ``run`` default to a function that takes the parsed arguments and
    returns an exit code. Import what is heavy inside that function.
    """


@hookspec
def ltbench_run_start(run: RunInfo) -> None:
    """Observe that a run begins (main process only). Nothing that an observer does can change or end the run.

    With ``--jobs`` runs go on side by side and their events come mixed: keep what belongs to one by ``run.name``. A run whose
    process died before it began has an end alone.
    """


@hookspec
def ltbench_step(run: RunInfo, stage: int, epoch: int, epochs: int, step: int, steps: int, images: int) -> None:
    """Observe that a stage moves on within an epoch: after its first step, and then twice a second at most (main process only).

    Args:
        run: What is running.
        stage: From 1.
        epoch: From 1, of this stage.
        epochs: How many this stage has.
        step: The optimizer step just taken, from 1, of this epoch. On a GPU it was asked for, and may not be done yet.
        steps: How many the epoch has.
        images: That each step takes.
    """


@hookspec
def ltbench_epoch_end(run: RunInfo, stage: int, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
    """Observe the end of an epoch (main process only).

    Args:
        run: What is running.
        stage: From 1.
        epoch: From 1, of this stage.
        epochs: How many this stage has.
        metrics: Training figures of the epoch; never a figure of the test set.
    """


@hookspec
def ltbench_stage_end(run: RunInfo, stage: int, curve: Sequence[Mapping[str, Any]], reused: bool) -> None:
    """Observe that a stage is finished, trained now or found so (main process only).

    Args:
        run: What is running.
        stage: From 1.
        curve: One row an epoch, with ``epoch`` and ``epochs`` beside the training figures; those of epochs that this process did
            not train are in no other event.
        reused: Whether it came from the store.
    """


@hookspec
def ltbench_run_end(run: RunInfo, record: Any) -> None:
    """Observe a finished run's record, be it completed, diverged or failed (main process only).

    Args:
        run: What was running.
        record: A copy of the :class:`ltbench.Record` that was written, read by attribute: ``record.metrics.accuracy.all``.
    """
