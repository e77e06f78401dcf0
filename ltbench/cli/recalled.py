"""What ``ltbench predict`` and ``ltbench export`` have in common: the options that find a trained model again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.planning.request import How

if TYPE_CHECKING:
    from ltbench.trained.recall import Trained


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add where the model's stages, and what it was trained on, are."""
    parser.add_argument("--dataset", metavar="NAME", help="for a record of your own images: where they are, as in the run, such "
                        "as folder:photos/pets")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data (also LTBENCH_DATA)")
    parser.add_argument("--cache", metavar="DIR", help="folder of the stage store (also LTBENCH_CACHE)")
    parser.add_argument("--stage1", type=Path, metavar="FILE", help="as in the run, if it had your own first stage")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the file of the run's --weights or --init, if it had one")


def model_of(args: argparse.Namespace, *, cpu: bool) -> Trained:
    """Return the model of ``args.record``."""
    from ltbench.trained.recall import recall

    how = How(data_root=Path(args.data_root) if args.data_root else None, cache=Path(args.cache) if args.cache else None,
              stage1=args.stage1, cpu=cpu)
    return recall(args.record, args.registry, how, dataset=args.dataset, weights=args.weights)
