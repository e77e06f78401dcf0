"""``ltbench plugins``: what is installed, and what is broken about it."""

from __future__ import annotations

import argparse
from typing import Any

from ltbench.cli.listing import show


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("plugins", help="list the plugins, broken ones with their error",
                                 description="List every installed plugin: what it offers, or why it is broken.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List plugins."""
    rows: list[dict[str, Any]] = []
    for info in args.registry.plugins:
        state = info.error or ("disabled" if info.disabled else "ok")
        rows.append({"name": info.name, "distribution": info.distribution, "version": info.version, "state": state,
                     "offers": info.offers if args.json else [_counted(kind, len(names)) for kind, names in info.offers.items()]})
    return show(rows, as_json=args.json)


def _counted(kind: str, count: int) -> str:
    return f"{count} {kind}{'s' if count > 1 else ''}"
