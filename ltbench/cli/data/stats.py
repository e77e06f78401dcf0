"""``ltbench data stats``: how training images spread over the classes of a task, in numbers and as a plot."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.cli.data import add_common_options, existing_root
from ltbench.errors import UserError
from ltbench.planning.request import parse_splits
from ltbench.terms.shots import USUAL

if TYPE_CHECKING:
    from ltbench.data.inspection.statistics import Spread

_ALL = 100  # classes that a table has lines for; of more the ends alone
_ENDS = 10


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser("stats", help="count and plot the training images of each class",
                                description="Count the training images of each class as a run would see them, after the "
                                            "long-tailed construction.")
    parser.add_argument("name", metavar="NAME[@RATIO]", help="of the dataset")
    parser.add_argument("--imbalance", choices=("exp", "step"), default="exp", help="shape of the class counts")
    parser.add_argument("--split-seed", type=int, default=0, metavar="S", help="of the long-tailed subset (default: 0)")
    parser.add_argument("--splits", default=USUAL, metavar="MANY,FEW",
                        help="many: classes of more training images than MANY; few: of fewer than FEW (default: 100,20)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the counts to a .png or .svg file")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Count, print and draw."""
    from ltbench.data.inspection.plot import check_plot_file, draw
    from ltbench.data.inspection.statistics import spread
    from ltbench.data.naming import open_dataset

    kind = None if args.plot is None else check_plot_file(args.plot)
    dataset, ratio = open_dataset(args.name, args.registry, root=existing_root(args.data_root))
    found = spread(dataset, ratio, existing_root(args.data_root), imbalance=args.imbalance, split_seed=args.split_seed,
                   splits=parse_splits(args.splits))
    if kind is not None:
        try:
            args.plot.parent.mkdir(parents=True, exist_ok=True)
            args.plot.write_bytes(draw(found, kind))
        except OSError as error:
            raise UserError(f"{str(args.plot)!r} cannot be written: {error.strerror}") from error
    if args.json:
        print(json.dumps(_as_json(found), indent=1))
    else:
        print("\n".join(_as_text(found)))
    return 0


def _as_json(found: Spread) -> dict[str, Any]:
    return {"dataset": found.task.dataset, "ratio": found.task.imbalance_ratio, "imbalance": found.task.imbalance,
            "split_seed": found.task.split_seed, "split_hash": found.split_hash, **asdict(found.totals),
            "realized_ratio": found.ratio, "gini": found.gini, "test_images": int(found.test.sum()),
            "class_names": list(found.class_names), "class_counts": found.train.tolist(), "test_counts": found.test.tolist()}


def _as_text(found: Spread) -> Iterator[str]:
    from tabulate import tabulate

    from ltbench.data.inspection.counts import GINI, draw_histogram, histogram

    totals = found.totals
    yield (f"{found.task}, split seed {found.task.split_seed}: {totals.images:,} training images of {len(found.train):,} "
           f"classes, {totals.largest:,} to {totals.smallest:,}; {found.test.sum():,} test images")
    yield f"many / medium / few classes: {totals.many} / {totals.medium} / {totals.few} ({found.splits})"
    yield f"ratio realized: {found.ratio:.4g}"
    yield f"Gini coefficient: {found.gini:.4f} ({GINI})"
    yield f"split: sha256 {found.split_hash}"
    yield "training images of a class, classes:"
    yield from (f"  {line}" for line in draw_histogram(histogram(found.train)))
    falling = sorted(range(len(found.train)), key=lambda k: (-found.train[k], k))
    rows = [[k, found.class_names[k], f"{found.train[k]:,}", f"{found.test[k]:,}"] for k in falling]
    if len(rows) > _ALL:
        rows = [*rows[:_ENDS], ["...", f"{len(rows) - 2 * _ENDS:,} classes between: see --json", "...", "..."], *rows[-_ENDS:]]
    yield from tabulate(rows, headers=["class", "name", "training images", "test images"],
                        colalign=["right", "left", "right", "right"], disable_numparse=True).splitlines()
