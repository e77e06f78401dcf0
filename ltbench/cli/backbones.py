"""``ltbench backbones``: what can be trained."""

from __future__ import annotations

import argparse

from ltbench.cli.listing import show


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("backbones", help="list the backbones",
                                 description="List the backbones of all installed plugins.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List backbones without importing any."""
    rows = [{"name": entry.spec.name, "summary": entry.spec.summary,
             **({"plugin": entry.plugin, "distribution": entry.distribution} if args.json else {})}
            for entry in args.registry.backbones.values()]
    return show(rows, as_json=args.json, problems=args.registry.problems)
