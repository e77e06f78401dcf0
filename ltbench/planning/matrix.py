"""From what was typed to planned runs, before any data is read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.cli.run.options import ALL, DEFAULT_PROTOCOL
from ltbench.errors import UserError
from ltbench.terms.protocol import COMMON, PAPER

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights
    from ltbench.data.base import Dataset
    from ltbench.planning.plan import RunPlan

_BY_HAND = ("epochs", "batch_size", "lr", "weight_decay", "optimizer", "schedule", "backbone", "image_size")


def find_weights(args: argparse.Namespace) -> Weights | None:
    """Find the weights of a frozen backbone, if the user named any."""
    if args.weights is None:
        return None
    if args.stage1 is not None:
        raise UserError("--stage1 and --weights both give the first stage; leave one of them out")
    if args.track == PAPER:
        raise UserError("--weights needs --track common: no paper's own settings say what is pre-trained elsewhere")
    from ltbench.backbones.pretrained import open_weights

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
    from ltbench.planning.expression import check_settings, parse_settings, split_list
    from ltbench.planning.papers import ALTERNATIVES
    from ltbench.planning.plan import change_protocol, plan_run
    from ltbench.terms.task import Task

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
                        require_later_stages(plan, method)
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


def require_later_stages(plan: RunPlan, text: str) -> None:
    """Refuse what does not stand on frozen features alone, before any data is read.

    Args:
        plan: Of the run.
        text: Its expression, as typed.

    Raises:
        UserError: If a first stage of its own was asked for, the first later stage reads a classifier that is not there, or
            any trains the backbone.
    """
    later = plan.stages[1:]
    if not later or not all(choice.entry.spec.base for choice in plan.stages[0].choices):
        raise UserError(f"with --weights the first stage is given: name second-stage methods, got {text!r}")
    needing = [choice.method.name for choice in later[0].choices if choice.entry.spec.needs_classifier]
    if needing or later[0].trial.evaluation_only:
        name = (needing or [later[0].text])[0]
        raise UserError(f"{name!r} needs the classifier of the stage before, and --weights bring none")
    for stage in later:
        if stage.trial.backbone != "frozen":
            raise UserError(f"with --weights the backbone must stay frozen, got {stage.trial.backbone} in {stage.text!r}")


def _protocol(dataset: Dataset, name: str) -> Any:
    from ltbench.errors import unknown

    if name not in dataset.protocols:
        raise unknown(f"protocol of {dataset.name!r}", name, dataset.protocols)
    return dataset.protocols[name]


def _file_hash(path: Path | None) -> str | None:
    from ltbench.registry.sources import file_hash

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
