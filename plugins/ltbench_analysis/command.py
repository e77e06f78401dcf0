"""``ltbench analyze``: figures from records."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ltbench
from ltbench_analysis.catalog import FigureSpec
from ltbench_analysis.listing import FIGURES

if TYPE_CHECKING:
    from ltbench_analysis.drawing import Drawing
    from ltbench_analysis.runs import Run

_LISTED = 3  # commands that an error shows


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = "Make a figure of one of the papers, or of neural collapse, from records: its data as JSON, then PNG and SVG."
    parser = commands.add_parser("analyze", help="make figures from records", description=about)
    parser.add_argument("records", nargs="*", metavar="RECORD", help="records, or folders of records")
    parser.add_argument("--figure", metavar="ID", help="which, see --list; several with commas")
    parser.add_argument("--out", metavar="DIR", default="figures", help="folder of the figures (default: figures)")
    parser.add_argument("--list", action="store_true", help="list all figures, what they need and what makes such records")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the figures, or make some."""
    if args.list:
        print("\n".join(line for figure in FIGURES.values() for line in _describe(figure)))
        return 0
    if not args.figure:
        raise ltbench.UserError("--figure must name a figure; see ltbench analyze --list")
    figures = [_find(name) for name in args.figure.split(",")]
    from ltbench_analysis.runs import read_runs

    runs = read_runs([Path(text) for text in args.records])
    for figure in figures:
        for path in make(figure, runs, Path(args.out)):
            print(path)
    return 0


def make(figure: FigureSpec, runs: Sequence[Run], out: Path) -> list[Path]:
    """Make one figure and return its files: the data first.

    Raises:
        UserError: If the runs lack what it needs, or nothing can be written.
    """
    from ltbench_analysis.drawing import as_json
    from ltbench_analysis.render import render

    drawing = build(figure, runs)
    used = runs if drawing.used is None else drawing.used
    if len(used) < len(runs):
        print(f"figure {figure.name}: made from {len(used)} of {len(runs)} records", file=sys.stderr)
    caption = caption_of(figure, used)
    data = json.dumps(as_json(data_of(figure, used, drawing, caption)), indent=1, sort_keys=True, allow_nan=False) + "\n"
    contents = {"json": data.encode(), **render(drawing, caption)}
    paths = [out / f"{figure.name}.{kind}" for kind in contents]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, contents.values(), strict=True):
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_bytes(content)
            temporary.replace(path)
    except OSError as error:
        raise ltbench.UserError(f"--out must be a writable folder, got {out}: {error.strerror}") from None
    return paths


def build(figure: FigureSpec, runs: Sequence[Run]) -> Drawing:
    """Return the figure's drawing.

    Raises:
        UserError: If the runs lack what it needs: one line with a command that makes such records.
    """
    from ltbench_analysis.drawing import Drawing
    from ltbench_analysis.runs import Lacking

    if figure.runs and not runs:
        raise ltbench.UserError(f"figure {figure.name} needs records ({figure.needs}), got none; {_advice(figure)}")
    module, _, function = figure.target.partition(":")
    try:
        drawing = getattr(importlib.import_module(f"ltbench_analysis.figures.{module}"), function)(runs)
    except Lacking as lack:
        who = "which no record has" if lack.run is None else f"which {lack.run.path} lacks"
        raise ltbench.UserError(f"figure {figure.name} needs {lack.what}, {who}; {_advice(figure)}") from None
    assert isinstance(drawing, Drawing)
    return drawing


def caption_of(figure: FigureSpec, runs: Sequence[Run]) -> str:
    """Return what stands below the figure: paper and number, what it shows, and what it was made from."""
    text = f"{figure.source}: {figure.shows}."
    if not figure.runs:
        return f"{text} Measured on the machine that drew it."
    datasets = sorted({run.dataset for run in runs})
    epochs = sorted({run.record.protocol.epochs for run in runs})
    backbones = sorted({run.record.protocol.backbone for run in runs})
    seeds = sorted({run.record.task.seed for run in runs})
    many = "seed" if len(seeds) == 1 else "mean (and, where drawn, 95 % interval) over seeds"
    return (f"{text} Here: {', '.join(datasets)}; {', '.join(backbones)}; {', '.join(map(str, epochs))} epochs; "
            f"{many} {', '.join(map(str, seeds))}.")


def data_of(figure: FigureSpec, runs: Sequence[Run], drawing: Drawing, caption: str) -> dict[str, Any]:
    """Return the figure's data as it is written to JSON."""
    return {"figure": figure.name, "source": figure.source, "caption": caption, "repeatable": figure.repeatable,
            "runs": [_source(run) for run in runs], "summary": drawing.summary,
            "panels": [dataclasses.asdict(panel) for panel in drawing.panels]}


def _source(run: Run) -> dict[str, Any]:
    record = run.record
    return {"record": run.path.name, "key": record.key, "expression": record.expression, "dataset": run.dataset,
            "seed": record.task.seed, "split_seed": record.task.split_seed, "track": record.track,
            "protocol": record.protocol.as_dict(), "split": record.split.hash}


def _find(name: str) -> FigureSpec:
    if name not in FIGURES:
        near = difflib.get_close_matches(name, FIGURES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ltbench.UserError(f"unknown figure {name!r}; {hint}Known: {', '.join(FIGURES)}")
    return FIGURES[name]


def _advice(figure: FigureSpec) -> str:
    more = len(figure.runs) - _LISTED
    return f"run {' ; '.join(figure.runs[:_LISTED])}" + (f" ; and {more} more, see ltbench analyze --list" if more > 0 else "")


def _describe(figure: FigureSpec) -> list[str]:
    return [f"{figure.name}: {figure.shows}", f"  from {figure.source}", f"  needs {figure.needs}",
            *(f"  {command}" for command in figure.runs)]
