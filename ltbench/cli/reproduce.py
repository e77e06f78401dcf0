"""``ltbench reproduce``: run a record again, and say whether it holds."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.planning.request import How
from ltbench.running.toolchain import compiler_problem

if TYPE_CHECKING:
    from ltbench.registry.discovery import Registry
    from ltbench.results.schema import Environment, Record
    from ltbench.trust.replan import Replan

_STAGES = ".stages"  # hidden: no folder of records


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Plan the run of a record again, train it anew and compare: equal, within the spread of the row's other seeds, or "
             "not. The exit code is 0 if it is reproduced and 1 if it is not.")
    parser = commands.add_parser("reproduce", help="run a record again and compare", description=about)
    parser.add_argument("record", type=Path, metavar="RECORD", help="the record's JSON file; its row's other seeds lie beside it")
    parser.add_argument("--out", type=Path, default=Path("reproduced"), metavar="DIR",
                        help="folder of the new record (default: reproduced)")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data (also LTBENCH_DATA)")
    parser.add_argument("--cache", metavar="DIR", help="folder of the stage store; stages that it holds are not trained again "
                        f"(default: {_STAGES} in --out)")
    parser.add_argument("--weights", type=Path, metavar="FILE",
                        help="the weights of a record that was made with --init FILE or --weights FILE")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: as recorded, on a CPU)")
    parser.add_argument("--cpu", action="store_true", help="leave accelerators alone")
    parser.add_argument("--dry-run", action="store_true", help="print the command, run nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan, run and judge."""
    from ltbench.cli.run.execute import execute
    from ltbench.leaderboard.sound import sound
    from ltbench.results import records
    from ltbench.results.command import arguments_of, plugins_hint
    from ltbench.results.records import Stored
    from ltbench.results.text import printable
    from ltbench.trust.verdict import describe, judge

    record = records.read(args.record)
    try:
        found = _plan(record, args.registry, args.weights, Path(args.data_root) if args.data_root else None)
        words = arguments_of(found.request)
    except UserError as problem:
        hint = plugins_hint(record, args.registry.files)
        raise UserError(printable(f"record {args.record} cannot be run again{hint}: {problem}")) from None
    print(shlex.join(["ltbench", "run", *words]))
    if args.dry_run:
        return 0
    if (world := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UserError(f"ltbench reproduce must run in one process, got WORLD_SIZE={world}; run the command above, then compare")
    if args.out.resolve() == args.record.resolve().parent:
        raise UserError(f"--out must be another folder than the record's, got {args.out}")
    for mismatch in sound([Stored(args.record, record)])[1]:  # whose verdict is known before hours are spent
        print(printable(f"warning: {mismatch}"), file=sys.stderr)
    execute(replace(found.request, how=_how(args, record, found.request.how)), args.registry)
    again = records.read(args.out / f"{found.plan.file_name}.json")
    for line in _elsewhere(record.environment, again.environment):
        print(printable(f"note: {line}"))
    verdict = judge(record, again, _others(record, args.record.parent))
    for line in describe(verdict):
        print(printable(line))
    return 0 if verdict.reproduced else 1


def _plan(record: Record, registry: Registry, weights: Path | None, root: Path | None) -> Replan:
    """Plan a record again, and refuse where the plan is of another run."""
    from ltbench.trust.replan import changed_settings, changed_sources, replan

    if record.status == "failed":
        raise UserError("a failed run says nothing that could be confirmed")
    found = replan(record, registry, weights, root)
    for place, message in changed_settings(record, found.plan):
        raise UserError(f"{place} {message}")
    for place, file in changed_sources(record, registry):
        print(f"warning: {place}: {file} has changed since", file=sys.stderr)
    return found


def _how(args: argparse.Namespace, record: Record, planned: How) -> How:
    """Say where and how to run: as the record did where that moves the last bits, and without any stage of before."""
    environment = record.environment
    threads = environment.threads if environment.device == "cpu" else None
    return How(out=args.out, data_root=Path(args.data_root) if args.data_root else None, cpu=args.cpu, debug=args.debug,
               cache=Path(args.cache or args.out / _STAGES), rerun=True, keep="nothing", weights=planned.weights,
               threads=args.threads if args.threads is not None or not threads else min(threads, os.cpu_count() or 1),
               accumulation=planned.accumulation, unreadable=planned.unreadable,
               compiles=environment.compiled is True and compiler_problem() is None)


def _elsewhere(then: Environment, now: Environment) -> Iterator[str]:
    """Yield what of the machine and its libraries is not as recorded and may move the last bits."""
    before, after = then.as_dict(), now.as_dict()
    for name in ("device", "processor", "threads", "world_size", "compiled"):
        if name == "compiled" and not then.compiled:  # records of before --compile do not say that they were not
            continue
        if before.get(name) != after.get(name):
            yield f"{name} was {before.get(name)}, and is {after.get(name)}"
    if (precision := then.evaluation or "fp32") != now.evaluation:
        yield f"test images were evaluated in {precision}, and are in {now.evaluation}"
    for name, version in now.libraries.items():
        if then.libraries.get(name) != version:
            yield f"{name} is {version}, and was another version"


def _others(record: Record, folder: Path) -> list[Record]:
    """Return the completed records of a record's row with other seeds, from the folder beside it."""
    from ltbench.leaderboard.collect import same_row
    from ltbench.leaderboard.sound import sound
    from ltbench.results.records import read_directory

    stored, _ = read_directory(folder)
    kept, edited = sound(item for item in stored if same_row(item.record, record) and item.record.status == "completed"
                         and item.record.task.seed != record.task.seed
                         and item.record.task.split_seed == record.task.split_seed)
    for problem in edited:
        print(f"warning: {problem}", file=sys.stderr)
    return [item.record for item in kept]
