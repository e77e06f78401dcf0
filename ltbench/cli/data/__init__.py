"""``ltbench data``: look at datasets before anything is trained on them."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from ltbench.errors import UserError
from ltbench.system.settings import data_root

ACTIONS = ("list", "check", "get", "stats", "pack")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its actions; their modules import what is heavy only when they run."""
    parser = commands.add_parser("data", help="find, check, describe and pack the data",
                                 description="Find, check, get, describe and pack datasets.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in ACTIONS:
        importlib.import_module(f"ltbench.cli.data.{action}").register(actions)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add what every action takes."""
    parser.add_argument("--data-root", metavar="DIR", help="the folder of data sets (default: LTBENCH_DATA)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def existing_root(given: str | None) -> Path | None:
    """Return the folder of data sets; None if none was named."""
    root = data_root(given)
    if root is not None and not root.is_dir():
        raise UserError(f"the folder of data sets (--data-root, LTBENCH_DATA) must exist, got {str(root)!r}")
    return root
