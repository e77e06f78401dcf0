"""``ltbench data list``: which datasets are found here, and how to get the others."""

from __future__ import annotations

import argparse

from ltbench.cli.data import add_common_options, existing_root
from ltbench.cli.listing import show


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser("list", help="say which datasets are found here, and how to get the others",
                                description="Say of every dataset whether it is found, where, how many images it has, and how to "
                                            "get it.")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Try to read every dataset."""
    from ltbench.data.inspection.found import FOUND, see
    from ltbench.data.inspection.obtaining import in_short

    root = existing_root(args.data_root)
    rows = []
    for entry in args.registry.datasets.values():
        if entry.spec.is_family:
            continue  # its members are the user's own
        seen = see(entry, root)
        how = in_short(seen.name, entry.spec.source)
        row = {"name": seen.name, "summary": entry.spec.summary, "state": seen.state, "where": seen.where}
        if args.json:
            row |= {"images": dict(seen.images), "reason": None if seen.state == FOUND else seen.line, "get": how}
        else:
            row |= {"images": ", ".join(f"{part} {count:,}" for part, count in seen.images.items()) or None, "get": how}
        rows.append(row)
    return show(rows, as_json=args.json, problems=args.registry.problems)
