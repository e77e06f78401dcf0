"""What is refused before anything is trained or written."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ltbench.backbones.making import make_backbone
from ltbench.data.chunks import check_batch_size
from ltbench.data.task_data import TaskData, check_files
from ltbench.errors import UserError
from ltbench.planning.plan import RunPlan
from ltbench.planning.request import How
from ltbench.registry.discovery import Registry
from ltbench.running.data import RunData
from ltbench.training.budget import budget_of
from ltbench.training.build import backbone_facts
from ltbench.training.external import read_backbone, start_from


def check_runs(plans: Sequence[RunPlan], data: RunData, registry: Registry, how: How, world: int) -> None:
    """Refuse a matrix that cannot run.

    Raises:
        UserError: If the data or the backbone is not there, a user's own first stage or weights do not fit, a batch does not
            divide, or ``LTBENCH_WORKERS`` is no number where images are decoded.
    """
    backbones: set[tuple[str, str]] = set()
    for plan in plans:
        of_task = data.of(plan)
        backbone = (plan.task.dataset, plan.stages[0].protocol.backbone)
        if backbone not in backbones:
            backbones.add(backbone)
            check_files(of_task.parts, planning=how.dry_run or how.skip_unreadable)
            backbone_facts(backbone[1], of_task, registry)
            with torch.random.fork_rng(devices=[]):
                if how.stage1 is not None:
                    read_backbone(how.stage1, make_backbone(backbone[1], of_task.dataset, registry))
                if (start := plan.stages[0].start) is not None:
                    start_from(make_backbone(backbone[1], of_task.dataset, registry), start)
        check_budget(plan, of_task, world, how.accumulation)


def check_split_seeds(plans: Sequence[RunPlan], data: RunData, *, tunes: bool = False) -> None:
    """Refuse a split seed that nothing is drawn by: the runs of several such seeds would be one run, counted several times.

    Args:
        tunes: Whether the plans are of trials; a run with what trials chose tells it itself.

    Raises:
        UserError: If every training image of a set is used, and none are held out of them.
    """
    for plan in plans:
        task = plan.task
        if not task.split_seed:
            continue
        of_task = data.of(plan, validates=tunes)
        if of_task.parts.val is None and (tunes or plan.protocol.hold_out or plan.tuning is not None):
            continue
        drawn = len(of_task.labels) + int((of_task.unreadable or {}).get("train", 0))
        if drawn == len(of_task.parts.train.labels):
            raise UserError(f"--split-seeds must be 0 for {task}, which is used as it is: there is no other subset of it, got "
                            f"{task.split_seed}")


def check_budget(plan: RunPlan, data: TaskData, world: int, accumulation: int) -> None:
    """Refuse batches that do not divide, or hold more images than an epoch draws.

    Args:
        accumulation: Parts that each process splits its share of a global batch into.

    Raises:
        UserError: If a stage has such.
    """
    for stage in plan.stages:
        if stage.trial.trains:
            budget = budget_of(stage.protocol, stage.trial.ranks_as, len(data.labels))
            check_batch_size(budget.batch_size, world, accumulation)
            if budget.batch_size > budget.draws:
                raise UserError(f"batch size must be at most the {budget.draws} images that an epoch draws, got "
                                f"{budget.batch_size}")
