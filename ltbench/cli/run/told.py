"""What is asked for where a file tells it: an experiment (``--config``) or a board (``--board``), and what is typed beside it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.cli.run.options import how_of
from ltbench.errors import UserError
from ltbench.planning.request import DEFAULT_PROTOCOL, Request, parse_seeds, parse_splits
from ltbench.registry.sources import core_version
from ltbench.terms.protocol import COMMON

if TYPE_CHECKING:
    from ltbench.planning.experiment import Experiment
    from ltbench.registry.discovery import Registry

_KEYS = {"dataset": "datasets"}  # of a matrix, where the option is called otherwise
_ALWAYS = ("methods", "dataset", "seeds")
# Of the commands that write an experiment.
_ABOUT = ("config", "board", "out", "to", "schema", "plugin", "folder", "title", "tolerance")


def told_requests(args: argparse.Namespace) -> tuple[list[Request], Registry]:
    """Return what a file asks for, and the plugins with those files that it names.

    Raises:
        UserError: If there is no such experiment, or something is typed that only a board may say.
    """
    from ltbench.leaderboard.board import RESULTS
    from ltbench.method.from_file import open_registry
    from ltbench.planning.experiment import requests_of

    experiment, where = told_experiment(args)
    how = how_of(args) if args.board is None else replace(how_of(args), out=args.board / RESULTS)
    if args.board is not None and core_version()["dirty"]:
        print("warning: this ltbench has changes that no commit holds: no board publishes records of it", file=sys.stderr)
    registry: Registry = args.registry
    left_out = tuple(info.name for info in registry.plugins if info.disabled)
    # A board's lie with it, wherever it is run from.
    paths = [Path(os.path.abspath((args.board or Path()) / name)) for name in experiment.plugin]
    if named := [path for path in paths if path not in registry.files]:
        registry = open_registry(left_out, [*registry.files, *named])
    files = tuple(registry.files)
    return [replace(request, plugins=files, no_plugins=left_out) for request in requests_of(experiment, where, how)], registry


def told_experiment(args: argparse.Namespace) -> tuple[Experiment, str]:
    """Return the experiment of a file with what is typed beside it, and what the file is called in messages.

    What is typed takes the place of what the file says, in each of its matrices. What is run on a board and on which terms, the
    board alone says: its records must be those that were asked for.
    """
    from ltbench.leaderboard.board import FILE, read_board
    from ltbench.planning.experiment import TERMS, read_experiment, with_changes

    file = args.config
    if args.board is not None:
        read_board(args.board)  # which asks for more than an experiment does
        for name in args.typed:
            if name == "out" or _KEYS.get(name, name) in TERMS:
                raise UserError(f"--board says what is run: leave out --{name.replace('_', '-')}")
        file = args.board / FILE
    where = repr(str(file))
    experiment, changes = read_experiment(file), content_of(args, args.typed)
    if args.board is None and (files := [file for file in _files(args) if file not in experiment.plugin]):
        changes["plugin"] = [*experiment.plugin, *files]
    return with_changes(experiment, changes, where), where


def typed_experiment(args: argparse.Namespace) -> tuple[Experiment, str]:
    """Return the experiment that is typed, and what it is called in messages.

    Methods, datasets, seeds and protocol stand in it whether they were typed or not: a later default must not change it.
    """
    from ltbench.planning.experiment import Matrix, checked

    where = "the command"
    content = content_of(args, {*_ALWAYS, *args.typed})
    if args.track == COMMON:
        content.setdefault("protocol", DEFAULT_PROTOCOL)
    matrix = {name: content.pop(name) for name in Matrix.model_fields if name in content}
    plugin = {"plugin": files} if (files := _files(args)) else {}
    return checked({**content, **plugin, "matrix": [matrix]}, where), where


def left_out(args: argparse.Namespace) -> list[str]:
    """Return the options that are typed and no part of an experiment."""
    from ltbench.planning.experiment import Matrix

    parts = {*Matrix.model_fields, *_KEYS, *_ABOUT}
    return [f"--{name.replace('_', '-')}" for name in sorted(args.typed - parts)]


def content_of(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Return options as the keys and values of an experiment; what is no part of one is left out.

    Args:
        names: Of the options, as they stand in ``args``.

    Raises:
        UserError: For what cannot be read.
    """
    from ltbench.data.naming import split_datasets
    from ltbench.planning.experiment import Matrix
    from ltbench.planning.expression import parse_settings, split_list

    readers: dict[str, Callable[[Any], Any]] = {
        "methods": lambda text: split_list(text) if text.strip() else [],
        "datasets": lambda text: split_datasets(text) if text.strip() else [],
        "seeds": lambda text: list(parse_seeds(text, "--seeds")),
        "split_seeds": lambda text: list(parse_seeds(text, "--split-seeds")),
        "splits": lambda value: list(parse_splits(value)),
        "imbalance_ratio": _number, "stage1": str, "out": str,
        "set": lambda items: parse_settings(items, args.registry)}
    values = {_KEYS.get(name, name): getattr(args, name) for name in names}
    return {key: readers.get(key, lambda value: value)(value) for key, value in values.items()
            if key in Matrix.model_fields or key == "out"}


def _files(args: argparse.Namespace) -> list[str]:
    """Return the files that ``--plugin`` named, as they are seen from here."""
    return [os.path.relpath(file) for file in args.registry.files]


def _number(text: str) -> Any:
    """Read a number; what is none is named where the experiment is checked."""
    try:
        return float(text)
    except ValueError:
        return text
