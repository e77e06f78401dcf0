"""How processes of a run are launched, and what each of them is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ltbench.errors import UserError

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan

TORCHRUN = "torchrun --nproc_per_node N -m ltbench.cli.main run ..."


def check_processes(environ: Mapping[str, str]) -> None:
    """Refuse a launcher that was asked for several processes and started one.

    ``accelerate launch --cpu --num_processes 2`` does: it leaves an address to meet at, and no number of processes.

    Raises:
        UserError: Saying what to type instead.
    """
    if "ACCELERATE_MIXED_PRECISION" in environ and "MASTER_PORT" in environ and "WORLD_SIZE" not in environ:
        raise UserError(f"accelerate launch started one process of several, as it does on CPUs: use {TORCHRUN}")


def check_world(environ: Mapping[str, str], processes: int) -> None:
    """Refuse processes that do not know of each other: they would all do the same work.

    Raises:
        UserError: Saying what to type instead.
    """
    if environ.get("WORLD_SIZE", "1") != str(processes):
        raise UserError(f"WORLD_SIZE is {environ['WORLD_SIZE']} but {processes} process runs: use {TORCHRUN}")


def describe_split(plans: Sequence[RunPlan], processes: int, accumulation: int) -> str | None:
    """Return one line that says how global batches are split; None where they are not, or cannot be.

    Args:
        accumulation: Parts that each process splits its share of a global batch into.
    """
    parts = processes * accumulation
    if parts == 1:
        return None
    from ltbench.training.optimization import terms

    trained = [stage for plan in plans for stage in plan.stages if stage.trial.trains]
    sizes = sorted({terms(stage.protocol, stage.trial.ranks_as).batch_size for stage in trained})
    if any(size % parts for size in sizes):
        return None  # which is refused
    each = ", ".join(f"{size} = {processes} x {accumulation} x {size // parts}" for size in sizes)
    return ("batch sizes and learning rates are the protocol's, whatever the number of processes; "
            f"processes x accumulation steps x images: {each or 'nothing is trained'}")
