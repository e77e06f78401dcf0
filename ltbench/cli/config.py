"""``ltbench config``: write a run's command line down as a file, which ``ltbench run --config`` takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ltbench.cli.run.options import add_cluster, add_custom, add_matrix, add_place, add_terms
from ltbench.errors import UserError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "config", help="write a run down as a file",
        description="Take the options of ltbench run and write the file by which ltbench run --config does the same. With "
                    "--config or --board: that file, changed by what is typed. Where and how this machine runs it (--jobs, "
                    "--data-root, ...) stays on the command line.")
    parser.add_argument("--to", type=Path, metavar="FILE", help="a new file (default: to the screen)")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of such files, for editors")
    for add in (add_matrix, add_terms, add_custom, add_place, add_cluster):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write an experiment, or the schema."""
    from ltbench.planning.experiment_text import SCHEMA_FILE, schema_text, to_toml

    if args.schema:
        _write(args.to, schema_text())
        return 0
    from ltbench.cli.run.told import left_out, told_experiment, typed_experiment
    from ltbench.planning.experiment import requests_of

    told = args.config is not None or args.board is not None
    experiment, where = told_experiment(args) if told else typed_experiment(args)
    requests_of(experiment, where)  # what no run can have together is refused here already
    for option in left_out(args):
        print(f"note: {option} is no part of an experiment: type it beside --config", file=sys.stderr)
    text = to_toml(experiment)
    if args.to is not None and (args.to.parent / SCHEMA_FILE).is_file():
        text = f"#:schema ./{SCHEMA_FILE}\n{text}"
    _write(args.to, text)
    return 0


def _write(file: Path | None, text: str) -> None:
    if file is None:
        print(text, end="")
        return
    try:
        with file.open("x", encoding="utf-8", newline="\n") as opened:
            opened.write(text)
    except OSError as error:
        raise UserError(f"--to must be a new file, got {str(file)!r}: {error.strerror}") from None
    print(f"{file} written", file=sys.stderr)
