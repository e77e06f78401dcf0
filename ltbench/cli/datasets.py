"""``ltbench datasets``: what can be run on."""

from __future__ import annotations

import argparse

from ltbench.cli.listing import show
from ltbench.registry.specs import PROTOCOLS


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("datasets", help="list the datasets", description="List the datasets of all installed plugins. "
                                   f"Every one has the protocols {', '.join(PROTOCOLS)}; some have more of them.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List datasets without importing any."""
    rows = []
    for entry in args.registry.datasets.values():
        spec = entry.spec
        more = [name for name in spec.protocols if name not in PROTOCOLS]
        rows.append({"name": spec.name, "classes": spec.num_classes, "default_ratio": spec.default_ratio, "source": spec.source,
                     **({} if args.json else {"more": more or None}), "summary": spec.summary,
                     **({"protocols": list(spec.protocols), "plugin": entry.plugin, "distribution": entry.distribution}
                        if args.json else {})})
    return show(rows, as_json=args.json, problems=args.registry.problems)
