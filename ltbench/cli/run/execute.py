"""Execute or describe what is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING

from ltbench.cli.run.published import tell_published
from ltbench.cli.run.slurm import Slurm, submit
from ltbench.cli.run.tables import print_tables
from ltbench.planning.matrix import plan_request
from ltbench.planning.request import Request
from ltbench.running.jobs import check_jobs, run_jobs
from ltbench.running.launch import check_processes, describe_split
from ltbench.running.setup import is_tiny, make_runner

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan
    from ltbench.registry.discovery import Registry
    from ltbench.running.runner import Runner


def execute(request: Request, registry: Registry, slurm: Slurm | None = None) -> int:
    """Plan, then execute or describe; return the exit code.

    Args:
        slurm: How the matrix is submitted; None to run it here.
    """
    how = request.how
    check_processes(os.environ)
    if how.jobs > 1 and slurm is None:
        check_jobs(how)
    planned = plan_request(request, registry)
    if not planned.plans:
        assert how.shard is not None
        print(f"shard {how.shard} is empty: the matrix has fewer runs than shards", file=sys.stderr)
        return 0
    if slurm is not None and not how.dry_run:
        return submit(request, slurm, planned.plans, execute_shard, registry.remarks)
    from ltbench.training.watch import watching

    with watching(debug=how.debug) as watch:
        runner = make_runner(request, registry, planned, watch)
        if runner.accelerator.is_main_process:
            tell_published(planned.plans, runner)
        if how.dry_run:
            from ltbench.running.estimate import print_plan

            with nullcontext() if runner.accelerator.is_main_process else redirect_stdout(None):
                print_plan(planned.plans, runner)
            return 0
        if how.jobs == 1:
            return run_plans(runner, planned.plans)
        results = run_jobs(request, planned, runner, one_thread=is_tiny(planned))
        print_tables(how.out, planned.plans, registry.remarks)
        return 1 if any(record.status == "failed" for record in results) else 0


def execute_shard(request: Request) -> int:
    """Execute a request in a process of its own, which finds its plugins anew; return the exit code."""
    from ltbench.method.from_file import open_registry

    return execute(request, open_registry(request.no_plugins, request.plugins))


def run_plans(runner: Runner, plans: Sequence[RunPlan]) -> int:
    """Run plans, print their tables, and return the exit code."""
    accelerator = runner.accelerator
    split = describe_split(plans, accelerator.num_processes, runner.options.accumulation)
    if split and accelerator.is_main_process:
        print(f"ltbench: {split}", file=sys.stderr)
    results = runner.run(plans)
    accelerator.wait_for_everyone()  # nobody leaves, and takes the connection along, while others are at work
    if not accelerator.is_main_process:
        return 0
    print_tables(runner.options.out, plans, runner.registry.remarks)
    return 1 if any(record.status == "failed" for record in results) else 0
