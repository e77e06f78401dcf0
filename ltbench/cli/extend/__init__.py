"""``ltbench plugin``: make a plugin of one's own, and check one."""

from __future__ import annotations

import argparse
import importlib

ACTIONS = ("new", "check")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its actions; their modules import what is heavy only when they run."""
    parser = commands.add_parser("plugin", help="make a plugin of your own, and check one",
                                 description="Make a distribution with a method, a dataset or a metric of your own; check one.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in ACTIONS:
        importlib.import_module(f"ltbench.cli.extend.{action}").register(actions)
