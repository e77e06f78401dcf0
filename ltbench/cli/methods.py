"""``ltbench methods``: what can stand in an expression."""

from __future__ import annotations

import argparse

from ltbench.cli.completion import listed
from ltbench.cli.listing import show
from ltbench.registry.specs import KINDS, MethodSpec


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("methods", help="list the methods", description="List the methods of all installed plugins.")
    name = parser.add_argument("name", nargs="?", help="show one method with its hyperparameters")
    name.completer = listed(lambda args: args.registry.methods, "")  # type: ignore[attr-defined]  # argcomplete's
    parser.add_argument("--kind", choices=KINDS, help="only this family")
    parser.add_argument("--stage", type=int, choices=(1, 2), help="only what fits this stage (2: every later one)")
    parser.add_argument("--search", metavar="TEXT", help="only where the name, another name, the summary or the paper says so")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List methods by family, or show one; only the latter imports it."""
    if args.name:
        return _show_one(args)
    order = [*KINDS, ""]
    rows = [{"name": spec.name, "kind": spec.kind, "stages": sorted(spec.stages), "summary": spec.summary, "paper": spec.paper,
             **({"plugin": entry.plugin, "distribution": entry.distribution} if args.json else {})}
            for entry in sorted(args.registry.methods.values(), key=lambda entry: (order.index(entry.spec.kind), entry.spec.name))
            if _wanted(spec := entry.spec, args)]
    if not rows and not args.json:
        print("no method fits")
    return show(rows, as_json=args.json, problems=args.registry.problems)


def _wanted(spec: MethodSpec, args: argparse.Namespace) -> bool:
    said = " ".join((spec.name, *spec.aliases, spec.summary, spec.paper)).lower()
    return (args.kind in (None, spec.kind) and (args.stage is None or args.stage in spec.stages)
            and (args.search or "").lower() in said)


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
