"""``ltbench augmentations``: what images can go through in training."""

from __future__ import annotations

import argparse
from typing import Any

from ltbench.cli.listing import show
from ltbench.errors import UserError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("augmentations", help="list the augmentations",
                                 description="List the augmentations of all installed plugins, with their options.")
    parser.add_argument("name", nargs="?", help="show one augmentation with its options")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List augmentations, or show one."""
    if args.name:
        return _show_one(args)
    rows = [{"name": entry.spec.name, "options": _told(entry), "summary": entry.spec.summary,
             **({"plugin": entry.plugin, "distribution": entry.distribution} if args.json else {})}
            for entry in args.registry.augmentations.values()]
    return show(rows, as_json=args.json, problems=args.registry.problems)


def _told(entry: Any) -> str:
    """Return the options with their defaults, or the parts of a sequence."""
    from ltbench.method import hyperparameters

    if entry.spec.parts:
        return " ".join(entry.spec.parts)
    try:
        known = hyperparameters.declared(entry.load())
    except (UserError, TypeError, NameError):  # listing is no place to fail; using it tells why
        return "cannot be used"
    return ", ".join(f"{name}={hyperparameters.format_value(default)}" for name, (_, default) in known.items())


def _show_one(args: argparse.Namespace) -> int:
    from ltbench.method import hyperparameters
    from ltbench.terms import ranges

    entry, _ = args.registry.augmentation(args.name.partition("(")[0])
    known = {} if entry.spec.parts else hyperparameters.declared(entry.load())
    if not args.json:
        without = "options: those of its member" if entry.spec.name.endswith(":") else "no options"
        lines = (f"{entry.spec.name}: {entry.spec.summary}", " ".join(entry.spec.parts),
                 f"from {entry.distribution} {entry.version}", "" if known else without)
        print("\n".join(filter(None, lines)) + ("\n" if known else ""))
    rows = [{"option": name, "type": hyperparameters.describe(kind), "default": hyperparameters.format_value(default),
             "range": ranges.describe(kind)} for name, (kind, default) in known.items()]
    return show(rows, as_json=args.json)
