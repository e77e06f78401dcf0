"""``ltbench plugin check``: whether what a plugin offers does what it must."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from ltbench.errors import UserError, unknown

if TYPE_CHECKING:
    from ltbench.testing.offered import Checked


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "check", help="check methods, datasets and metrics",
        description="Run the conformance kit: what ltbench's own methods pass. The exit code is 1 if a check failed.")
    parser.add_argument("targets", nargs="*", metavar="NAME|PATH",
                        help="a method, dataset, metric, plugin or distribution; a Python file outside any package; a folder "
                        "with a pyproject.toml (default: every plugin that does not come with ltbench)")
    parser.add_argument("--only", metavar="CHECK,...", help="make these checks and no others")
    parser.add_argument("--data-root", metavar="DIR", help="the folder of data sets (default: LTBENCH_DATA)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check and report."""
    from ltbench.testing.offered import NAMES, Offered, check_offered, find_offered

    only = None if args.only is None else {name.strip() for name in args.only.split(",")}
    for name in sorted(only or ()):
        if name not in NAMES:
            raise unknown("check in --only", name, NAMES)
    # What was left out here is left out of the registry that the kit loads, in this process and in those that it starts.
    left_out = sorted({info.name for info in args.registry.plugins if info.disabled})
    if left_out:
        os.environ["LTBENCH_DISABLE_PLUGINS"] = ",".join(left_out)
    offered: list[Offered] = find_offered(args.targets, [str(file) for file in args.registry.files])
    if not offered:
        raise UserError("nothing to check: no plugin is installed but those that come with ltbench; name a method, a plugin, a "
                        "file or a folder")
    found: list[Checked] = []
    for checked in check_offered(offered, only, args.data_root):
        found.append(checked)
        if not args.json:
            print("\n".join(_lines(checked)), flush=True)
    states = Counter(result.state for checked in found for result in checked.results)
    if args.json:
        print(json.dumps([{"kind": checked.offered.kind, "distribution": checked.offered.distribution,
                           "about": checked.about(result), **asdict(result)} for checked in found for result in checked.results],
                         indent=1))
    else:
        total = sum(states.values())
        told = ", ".join(f"{states[state]} {state}" for state in ("ok", "failed", "skipped"))
        print(f"{total} check{'s' if total != 1 else ''}: {told}")
    return 1 if states["failed"] else 0


def _lines(checked: Checked) -> list[str]:
    """Return a table for people: what was checked, what is wrong, how to mend it."""
    offered = checked.offered
    lines = [f"{offered.kind} {offered.name} ({offered.distribution} {offered.version})"]
    for result in checked.results:
        told = result.message if result.state != "ok" else checked.about(result)
        lines.append(f"  {result.state.upper() if not result.ok else result.state:<8} {result.check:<14} {told}")
        if not result.ok:
            lines.append(f"{'':<26}to mend it: {result.mend}")
        elif result.state == "ok" and result.message:
            lines.append(f"{'':<26}{result.message}")
    return lines
