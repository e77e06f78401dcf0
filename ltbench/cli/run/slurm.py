"""``--launcher slurm``: the shards of a matrix as one job array."""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.run.slurm_job import ShardJob, last_line
from ltbench.cli.run.tables import print_tables
from ltbench.errors import UserError
from ltbench.planning.request import Request
from ltbench.planning.shards import Shard

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan

LOGS = ".slurm"  # in the folder of the records, where nothing that reads records looks
_OURS = ("array", "output", "error", "open-mode", "requeue")
_POLL = 5.0  # seconds; Slurm answers from memory


@dataclass(frozen=True)
class Slurm:
    """Say how a matrix is submitted.

    Args:
        jobs: Of the array; None for one for each first stage.
        wait: Whether the command waits until the jobs have ended.
    """

    options: Mapping[str, str | bool]
    jobs: int | None
    wait: bool


def slurm_of(args: argparse.Namespace) -> Slurm | None:
    """Return how what was typed is to be submitted; None where it runs here.

    Raises:
        UserError: For the launcher's options without it, for one shard of what it is to divide, or see :func:`parse_slurm`.
    """
    if args.slurm_jobs is not None and args.slurm_jobs <= 0:
        raise UserError(f"--slurm-jobs must be > 0, got {args.slurm_jobs}")
    if args.launcher is None:
        for name in ("slurm", "slurm_jobs", "wait"):
            if getattr(args, name):
                raise UserError(f"--{name.replace('_', '-')} needs --launcher slurm")
        return None
    if args.shard is not None:
        raise UserError("--launcher makes the shards: leave out --shard")
    return Slurm(parse_slurm(args.slurm), args.slurm_jobs, args.wait)


def parse_slurm(pairs: Sequence[str]) -> dict[str, str | bool]:
    """Read options of sbatch.

    Args:
        pairs: ``KEY=VALUE``, or ``KEY`` for an option without a value.

    Raises:
        UserError: For what is no option, stands twice, or is set by the launcher.
    """
    found: dict[str, str | bool] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name = key.removeprefix("--").replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or (equals and not value) or "\n" in value:
            raise UserError(f"--slurm must be KEY=VALUE, an option of sbatch, got {pair!r}")
        if name in _OURS:
            raise UserError(f"--slurm {name} is set by the launcher; leave it out")
        if name in found:
            raise UserError(f"--slurm {name} stands twice")
        found[name] = value if equals else True
    return found


def submit(request: Request, slurm: Slurm, plans: Sequence[RunPlan], execute: Callable[[Request], int],
           remarks: Mapping[str, str]) -> int:
    """Submit a matrix as a job array, and wait for it where that is asked for.

    Args:
        slurm: How it is submitted.
        execute: What a job calls with its shard of the request; returns an exit code.
        remarks: What stands beside the figures of a dataset.

    Returns:
        0 when the jobs were submitted; with ``--wait`` 1 if a run failed or has no record.

    Raises:
        UserError: Without submitit or Slurm, or for what sbatch refuses.
    """
    try:
        import submitit
    except ImportError:
        raise UserError("--launcher slurm needs submitit: pip install 'ltbench[slurm]'") from None
    asked, out = slurm.options, request.how.out
    count = min(slurm.jobs or len({plan.stages[0].key for plan in plans}), len(plans))
    folder = out / LOGS
    try:
        executor = submitit.SlurmExecutor(folder)
    except RuntimeError:
        raise UserError("--launcher slurm needs srun and sbatch, which are not on this machine") from None
    # Without a value submitit names no time limit and no workload key, and the cluster's own holds. Since Slurm 22.05 srun does
    # not take the number of cores over from sbatch.
    cores = [f"--cpus-per-task={asked['cpus-per-task']}"] if "cpus-per-task" in asked else []
    executor.update_parameters(job_name="ltbench", time=None, wckey=None, srun_args=cores,
                               additional_parameters={"requeue": True, **asked})
    shards = [replace(request, how=replace(request.how, shard=Shard(number, count))) for number in range(1, count + 1)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with redirect_stderr(io.StringIO()):  # submitit repeats all that sbatch says
            jobs = executor.submit_array([ShardJob(execute, shard) for shard in shards])
    except submitit.core.utils.FailedJobError as error:
        raise UserError(f"sbatch refuses the jobs: {last_line(str(error))}") from None
    except OSError as error:
        raise UserError(f"the output folder {out} cannot be written: {error.strerror}") from error
    array = jobs[0].job_id.partition("_")[0]
    print(f"job {array} was submitted: {len(plans)} runs in {count} shards\n"
          f"  squeue --jobs {array}   what waits and what runs\n"
          f"  scancel {array}         ends all; the same command goes on where they stopped\n"
          f"  {folder}/{array}_*  what they say (.err)")
    return _wait(array, out, plans, remarks) if slurm.wait else 0


def _wait(array: str, out: Path, plans: Sequence[RunPlan], remarks: Mapping[str, str]) -> int:
    from ltbench.results import records

    try:
        while _is_known(array):
            time.sleep(_POLL)
    except KeyboardInterrupt:
        print(f"job {array} goes on; scancel {array} ends it", file=sys.stderr)
        raise
    print_tables(out, plans, remarks)
    paths = [out / f"{plan.file_name}.json" for plan in plans]
    done = [path.is_file() and records.read(path).status != "failed" for path in paths]
    if not all(done):
        print(f"{done.count(False)} of {len(done)} runs failed or have no record: see {out / LOGS}", file=sys.stderr)
    return 0 if all(done) else 1


def _is_known(array: str) -> bool:
    """Tell whether any job of an array waits or runs; a Slurm that does not answer says nothing about it."""
    asked = subprocess.run(["squeue", "--noheader", "--jobs", array], capture_output=True, text=True)
    return bool(asked.stdout.strip()) if asked.returncode == 0 else "Invalid job id" not in asked.stderr
