"""``ltbench data``: look at datasets before anything is trained on them."""

from __future__ import annotations

import argparse
import importlib

ACTIONS = ("list", "check", "get", "stats")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its actions; their modules import what is heavy only when they run."""
    parser = commands.add_parser("data", help="find, check and describe the data",
                                 description="Find, check, get and describe datasets.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in ACTIONS:
        importlib.import_module(f"ltbench.cli.data.{action}").register(actions)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add what every action takes."""
    parser.add_argument("--data-root", metavar="DIR", help="the folder of data sets (default: LTBENCH_DATA)")
    parser.add_argument("--json", action="store_true", help="print JSON")
