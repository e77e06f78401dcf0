"""``ltbench data``: look after datasets; one file an action."""

from __future__ import annotations

import argparse

from ltbench.cli.data import pack


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("data", help="pack datasets", description="Look after datasets.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    pack.register(actions)
