"""``ltbench methods``: what can stand in an expression."""

from __future__ import annotations

import argparse

from ltbench.cli.listing import show


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("methods", help="list the methods", description="List the methods of all installed plugins.")
    parser.add_argument("name", nargs="?", help="show one method with its hyperparameters")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List methods, or show one; only the latter imports it."""
    if args.name:
        return _show_one(args)
    rows = [{"name": entry.spec.name, "stages": sorted(entry.spec.stages), "summary": entry.spec.summary,
             "paper": entry.spec.paper, "plugin": entry.plugin, "distribution": entry.distribution}
            for entry in args.registry.methods.values()]
    return show(rows, as_json=args.json, problems=args.registry.problems)


def _show_one(args: argparse.Namespace) -> int:
    from ltbench.method import hyperparameters
    from ltbench.terms import ranges

    entry = args.registry.methods.get(args.name)
    method = entry.load()
    known = hyperparameters.declared(method)
    space = hyperparameters.search_space(method)
    if not args.json:
        fits = sorted(entry.spec.stages)
        stages = f"stage{'s' if len(fits) > 1 else ''} {' and '.join(map(str, fits))}"
        fixed = ", ".join(f"{name}={hyperparameters.format_value(value)}" for name, value in entry.spec.fixed.items())
        lines = (f"{entry.spec.name}: {entry.spec.summary}", entry.spec.paper,
                 f"{stages}; from {entry.distribution} {entry.version}",
                 f"{method.__name__} with {fixed}" if fixed else "", "" if known else "no hyperparameters")
        print("\n".join(filter(None, lines)) + ("\n" if known else ""))
    rows = [{"hyperparameter": name, "type": hyperparameters.describe(kind), "default": hyperparameters.format_value(default),
             "range": ranges.describe(kind), "tuned in": str(space[name]) if name in space else None}
            for name, (kind, default) in known.items()]
    return show(rows, as_json=args.json)
