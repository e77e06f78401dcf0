"""``ltbench datasets``: what can be run on."""

from __future__ import annotations

import argparse

from ltbench.cli.listing import show


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("datasets", help="list the datasets", description="List the datasets of all installed plugins.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List datasets without importing any."""
    rows = [{"name": entry.spec.name, "classes": entry.spec.num_classes, "default_ratio": entry.spec.default_ratio,
             "source": entry.spec.source, "summary": entry.spec.summary,
             **({"plugin": entry.plugin, "distribution": entry.distribution} if args.json else {})}
            for entry in args.registry.datasets.values()]
    return show(rows, as_json=args.json, problems=args.registry.problems)
