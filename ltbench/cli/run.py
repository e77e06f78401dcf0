"""``ltbench run``: train and evaluate a matrix of methods, datasets and seeds."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.protocols import COMMON, OPTIMIZERS, PAPER, SCHEDULES
from ltbench.settings import cache_limit, cache_root, data_root

if TYPE_CHECKING:
    from ltbench.data.base import Dataset
    from ltbench.plan import RunPlan
    from ltbench.pretraining import Weights

DEFAULT_DATASET = "digits-lt"
DEFAULT_PROTOCOL = "quick"
DEFAULT_SEEDS = "0,1,2"
ALL = "all"
# Up to this side, threads only wait for each other. A step on digits took 2.8 ms on one thread and 2.6 ms on two; where another
# program held a core, 2.8 ms and 49 ms.
_TINY = 16
# What a board says, and how these options read where nobody typed them.
_OF_A_BOARD = {"methods": ALL, "dataset": DEFAULT_DATASET, "seeds": DEFAULT_SEEDS, "split_seeds": "0", "track": "common",
               "protocol": None, "precision": "fp32", "out": Path("runs")}
_BY_HAND = ("epochs", "batch_size", "lr", "weight_decay", "optimizer", "schedule", "backbone", "image_size")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "run", help="train and evaluate methods",
        description="Train and evaluate every method on every dataset with every seed; what has a record already is not run "
                    f"again. Without arguments: every installed method, three seeds, {DEFAULT_DATASET}.")
    matrix = parser.add_argument_group("what is run")
    matrix.add_argument("--methods", default=ALL, metavar="EXPR,...",
                        help="expressions: A+B joins methods in a stage, A/B makes stages (default: every installed method)")
    matrix.add_argument("--dataset", default=DEFAULT_DATASET, metavar="NAME[@RATIO],...",
                        help=f"default: {DEFAULT_DATASET}; your own images: folder:PATH, list:FILE")
    matrix.add_argument("--imbalance-ratio", metavar="R", help="of every dataset that is named without @RATIO")
    matrix.add_argument("--seeds", default=DEFAULT_SEEDS, metavar="S,...",
                        help=f"of initialization and order (default: {DEFAULT_SEEDS})")
    matrix.add_argument("--split-seeds", default="0", metavar="S,...", help="of the long-tailed subset (default: 0)")
    matrix.add_argument("--imbalance", choices=("exp", "step"), default="exp", help="shape of the class counts")
    matrix.add_argument("--set", action="append", default=[], metavar="NAME.KEY=VALUE", help="set a method's hyperparameter")
    terms = parser.add_argument_group("on which terms")
    terms.add_argument("--protocol", metavar="NAME", help=f"smoke, quick or common (default: {DEFAULT_PROTOCOL})")
    terms.add_argument("--track", choices=("common", "paper"), default="common", help="equal terms, or each paper's own settings")
    terms.add_argument("--paper", metavar="METHOD", help="in the paper track: run every expression on the terms of this method's "
                       "paper (for the baselines that a paper ran itself)")
    terms.add_argument("--test-noise", type=float, default=0.0, metavar="STD",
                       help="evaluate on test images with Gaussian noise of this standard deviation (default: 0)")
    terms.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    custom = parser.add_argument_group("by hand (makes the protocol custom, which no board ranks)")
    for name, kind in (("epochs", int), ("batch-size", int), ("lr", float), ("weight-decay", float), ("image-size", int)):
        custom.add_argument(f"--{name}", type=kind, metavar="N" if kind is int else "X")
    for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        custom.add_argument(f"--{name}", choices=choices)
    custom.add_argument("--backbone", metavar="NAME", help="for example resnet32x2 or timm:resnet18")
    place = parser.add_argument_group("where and how")
    place.add_argument("--board", type=Path, metavar="DIR",
                       help="run what belongs on a board (DIR/board.toml) and has no record there")
    place.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder of the records (default: runs)")
    place.add_argument("--data-root", metavar="DIR", help="folder of the data (also LTBENCH_DATA)")
    place.add_argument("--download", action="store_true", help="download data that is missing")
    place.add_argument("--unreadable", choices=("stop", "skip"), default="stop",
                       help="images that cannot be decoded end their run (default), or are left out and counted")
    place.add_argument("--cache", metavar="DIR", help="folder of the stage store (also LTBENCH_CACHE)")
    place.add_argument("--stage1", type=Path, metavar="FILE", help="your own first stage; its rows are marked external")
    place.add_argument("--weights", metavar="FILE", help="weights of a frozen --backbone timm:NAME in place of a first stage, or "
                       "'timm' for its own from the local cache; its rows are marked external pre-training")
    place.add_argument("--accumulate", type=int, default=1, metavar="K",
                       help="split each global batch into K parts to save memory")
    place.add_argument("--threads", type=int, metavar="N", help="CPU threads (1 is best where other programs are busy)")
    place.add_argument("--cpu", action="store_true", help="leave accelerators alone")
    place.add_argument("--keep", choices=("nothing", "statistics", "features"), default="statistics",
                       help="what to keep beside a record for ltbench analyze (default: statistics of each class)")
    place.add_argument("--rerun", action="store_true", help="run again what has a record")
    place.add_argument("--dry-run", action="store_true", help="print the plan and an estimate, run nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one matrix, or those of a board."""
    if args.board is None:
        return _run(args)
    from ltbench.leaderboard.board import read_board

    board = read_board(args.board)
    for name, default in _OF_A_BOARD.items():
        if getattr(args, name) != default:
            raise UserError(f"--board says what is run: leave out --{name.replace('_', '-')}")
    codes = []
    for matrix in board.matrices:
        asked = {"methods": ",".join(matrix.methods), "dataset": ",".join(matrix.datasets), "track": matrix.track,
                 "seeds": ",".join(map(str, matrix.seeds)), "split_seeds": ",".join(map(str, matrix.split_seeds)),
                 "protocol": matrix.protocol, "precision": matrix.precision, "out": board.results}
        codes.append(_run(argparse.Namespace(**{**vars(args), **asked})))
    return max(codes)


def _run(args: argparse.Namespace) -> int:
    """Plan, then execute or describe."""
    for name in ("epochs", "batch_size", "lr", "image_size", "accumulate", "threads"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"--{name.replace('_', '-')} must be > 0, got {value}")
    if args.weight_decay is not None and not (math.isfinite(args.weight_decay) and args.weight_decay >= 0):
        raise UserError(f"--weight-decay must be >= 0, got {args.weight_decay}")
    if not (math.isfinite(args.test_noise) and args.test_noise >= 0):
        raise UserError(f"--test-noise must be >= 0, got {args.test_noise}")
    if args.threads is not None and args.threads > (os.cpu_count() or 1):
        raise UserError(f"--threads must be at most the {os.cpu_count()} cores, got {args.threads}")
    for name in ("methods", "dataset"):
        if not getattr(args, name).strip():
            raise UserError(f"--{name} must not be empty")
    weights = _weights(args)
    datasets, plans = plan_matrix(args, weights)
    for problem in args.registry.problems:
        print(f"warning: {problem}", file=sys.stderr)

    import torch

    from ltbench.runner import Options, Runner
    from ltbench.training.distributed import make_accelerator
    from ltbench.training.store import StageStore

    torch.set_flush_denormal(True)  # peaky softmaxes are several times slower without; before the first parallel operation
    tiny = all(dataset.image_size <= _TINY for dataset in datasets.values())
    if args.threads is not None or (tiny and "OMP_NUM_THREADS" not in os.environ):
        torch.set_num_threads(args.threads or 1)
    precision = {"fp32": "no"}.get(args.precision, args.precision)
    try:
        accelerator = make_accelerator(precision, cpu=args.cpu or not torch.cuda.is_available())
    except ValueError as error:
        raise UserError(f"processes or precision {args.precision} do not work here: {error}") from error
    if os.environ.get("WORLD_SIZE", "1") != str(accelerator.num_processes):
        raise UserError(f"WORLD_SIZE is {os.environ['WORLD_SIZE']} but {accelerator.num_processes} process runs; use torchrun")
    options = Options(args.out, data_root(args.data_root), args.download, args.accumulate, args.stage1, weights, args.rerun,
                      args.debug, args.keep, planning=args.dry_run, skip_unreadable=args.unreadable == "skip")
    runner = Runner(args.registry, accelerator, StageStore(cache_root(args.cache), cache_limit()), datasets, options)
    if args.dry_run:
        from ltbench.estimate import print_plan

        print_plan(plans, runner)
        return 0
    results = runner.run(plans)
    if not accelerator.is_main_process:
        return 0
    _print_tables([args.out / f"{plan.file_name}.json" for plan in plans])
    return 1 if any(record["status"] == "failed" for record in results) else 0


def _print_tables(paths: list[Path]) -> None:
    from ltbench import records
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.tables import render

    tables, problems = collect([records.Stored(path, records.read(path)) for path in paths if path.is_file()])
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(render(tables, "md"), end="")


def _weights(args: argparse.Namespace) -> Weights | None:
    """Find the weights of a frozen backbone, if the user named any."""
    if args.weights is None:
        return None
    if args.stage1 is not None:
        raise UserError("--stage1 and --weights both give the first stage; leave one of them out")
    if args.track == PAPER:
        raise UserError("--weights needs --track common: no paper's own settings say what is pre-trained elsewhere")
    from ltbench.pretraining import open_weights

    return open_weights(args.weights, args.backbone, size=args.image_size, download=args.download)


def plan_matrix(args: argparse.Namespace, weights: Weights | None = None) -> tuple[dict[str, Dataset], list[RunPlan]]:
    """Resolve everything that was typed, before any data is read.

    Args:
        args: As this verb's parser reads them, with the registry.
        weights: Of a frozen backbone that stands for the first stage.

    Returns:
        The datasets by name, and the runs.

    Raises:
        UserError: For anything that cannot work.
    """
    from ltbench.data.naming import open_dataset, split_datasets
    from ltbench.expression import check_settings, parse_settings, split_list
    from ltbench.papers import ALTERNATIVES
    from ltbench.plan import change_protocol, plan_run
    from ltbench.task import Task

    registry = args.registry
    methods = list(registry.methods) if args.methods == ALL else split_list(args.methods)
    settings = parse_settings(args.set, registry)
    changes = {name: getattr(args, name) for name in _BY_HAND if getattr(args, name) is not None}
    asked: dict[str, Any] = {}
    if args.track == PAPER:
        asked = {name: changes.pop(name) for name in ALTERNATIVES if name in changes}
        if refused := [*changes, *(["protocol"] if args.protocol else [])]:
            typed = ", ".join(f"--{name.replace('_', '-')}" for name in refused)
            raise UserError(f"--track paper takes each paper's own settings; leave out {typed}")
    elif args.paper:
        raise UserError("--paper needs --track paper")
    external = weights.sha256 if weights else _file_hash(args.stage1)
    pretraining = weights.describe() if weights else None
    seeds = [(split_seed, seed) for split_seed in _seeds(args.split_seeds, "--split-seeds")
             for seed in _seeds(args.seeds, "--seeds")]
    datasets: dict[str, Dataset] = {}
    plans: list[RunPlan] = []
    for text in split_datasets(args.dataset):
        dataset, ratio = open_dataset(text, registry, args.imbalance_ratio)
        dataset = weights.view(dataset) if weights else dataset
        name = dataset.name
        if name in datasets and datasets[name].images != dataset.images:
            raise UserError(f"--dataset must not hold two sets called {name!r}: run them one after the other, got {text!r}")
        base = _protocol(dataset, COMMON if args.track == PAPER else args.protocol or DEFAULT_PROTOCOL)
        resized = dataset.at_size(changes.get("image_size", dataset.image_size))
        # What is trained stays as the protocol's name says: the noise has a field of its own in every record and table.
        protocol = change_protocol(base, {**changes, "image_size": None} if resized is dataset else changes)
        datasets[name] = dataset = resized
        protocol = protocol.replace(eval_noise=args.test_noise, name=protocol.name)
        registry.backbone(protocol.backbone)
        for split_seed, seed in seeds:
            task = Task(name, ratio, args.imbalance, split_seed, seed, args.track, protocol.name)
            for method in list(methods):
                try:
                    plan = plan_run(method, task, protocol, registry, dataset, settings=settings, precision=args.precision,
                                    external=external, pretraining=pretraining, paper=args.paper, asked=asked)
                    if weights:
                        weights.require_later_stages(plan, method)
                    plans.append(plan)
                except UserError as error:
                    if args.methods != ALL:
                        raise
                    # Nobody asked for this one by name: one installed method must not keep all others from running.
                    print(f"warning: {method} is left out: {error}", file=sys.stderr)
                    methods.remove(method)
    if not plans:
        raise UserError("none of the installed methods can be run like this")
    check_settings(settings, [plan.expression for plan in plans])
    unique = {plan.file_name: plan for plan in plans}  # two spellings of one expression are one run
    return datasets, list(unique.values())


def _protocol(dataset: Dataset, name: str) -> Any:
    from ltbench.errors import unknown

    if name not in dataset.protocols:
        raise unknown(f"protocol of {dataset.name!r}", name, dataset.protocols)
    return dataset.protocols[name]


def _file_hash(path: Path | None) -> str | None:
    from ltbench.sources import file_hash

    if path is None:
        return None
    if not path.is_file():
        raise UserError(f"--stage1 must be a file, got {path}")
    return file_hash(path)


def _seeds(text: str, option: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{option} must be whole numbers with commas, got {text!r}") from None
    if min(seeds) < 0 or max(seeds) >= 2**63:
        raise UserError(f"{option} must be >= 0 and below 2^63, got {text!r}")
    return seeds
