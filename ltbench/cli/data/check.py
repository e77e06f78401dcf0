"""``ltbench data check``: look at a dataset before hours are spent on it."""

from __future__ import annotations

import argparse
import json
import time

from ltbench.cli.data import add_common_options, existing_root
from ltbench.system.settings import data_workers


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "check", help="check files, labels and class counts of a dataset",
        description="Check that a dataset is there, whole and what was published: files, labels, class counts, images that stand "
                    "twice. The exit code is 0 if it is sound, 1 if something is wrong, 2 if it is not there.")
    parser.add_argument("name", metavar="NAME", help="of the dataset; it is checked as it lies on the disk, whatever the ratio")
    parser.add_argument("--full", action="store_true", help="decode and compare every image, with LTBENCH_WORKERS processes")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check and report."""
    from ltbench.cli.data.report import as_json, as_text, exit_code
    from ltbench.data.inspection.check import check
    from ltbench.data.inspection.readable import progress_bar
    from ltbench.data.naming import open_dataset
    from ltbench.system.memory import peak_memory

    started = time.perf_counter()
    dataset, _ = open_dataset(args.name, args.registry, root=existing_root(args.data_root))
    report = check(dataset, existing_root(args.data_root), full=args.full, workers=data_workers(), make_progress=progress_bar)
    report.seconds["total"] = time.perf_counter() - started
    memory = peak_memory()
    if args.json:
        print(json.dumps(as_json(report, dataset, memory), indent=1))
    else:
        print("\n".join(as_text(report, dataset, memory)))
    return exit_code(report)
