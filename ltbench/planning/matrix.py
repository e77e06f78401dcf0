"""From a request to planned runs, before any data is read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError, unknown
from ltbench.planning.request import ALL, ALTERNATIVES, DEFAULT_PROTOCOL, Request
from ltbench.terms.protocol import COMMON, PAPER, TUNED

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights
    from ltbench.backbones.start import Start
    from ltbench.data.base import Dataset
    from ltbench.planning.plan import RunPlan
    from ltbench.registry.discovery import Registry
    from ltbench.terms.protocol import Protocol


@dataclass(frozen=True)
class Planned:
    """Hold what is to be run.

    Args:
        weights: Of a frozen backbone that stands for the first stage, or None.
    """

    datasets: dict[str, Dataset]
    plans: list[RunPlan]
    weights: Weights | None = None


def find_weights(request: Request) -> Weights | None:
    """Find the weights of a frozen backbone, if the user named any.

    Raises:
        UserError: If they are not there, or not of the backbone.
    """
    how, changes = request.how, request.terms.by_hand
    if how.weights is None:
        return None
    from ltbench.backbones.pretrained import open_weights

    return open_weights(how.weights, changes.get("backbone"), size=changes.get("image_size"), download=how.download)


def find_start(request: Request, protocol: Protocol) -> Start | None:
    """Find the weights that training starts from, if the user named any.

    Args:
        protocol: Names the backbone where the user did not.

    Raises:
        UserError: If they are not there, or not of the backbone; or the protocol needs some and there are none.
    """
    terms = request.terms
    if terms.init is None:
        if protocol.name == TUNED:
            raise UserError(f"--protocol {TUNED} needs --init, weights that others trained")
        return None
    from ltbench.backbones.start import open_start

    return open_start(terms.init, terms.by_hand.get("backbone", protocol.backbone), terms.tune or "all",
                      size=terms.by_hand.get("image_size"), download=request.how.download)


def plan_request(request: Request, registry: Registry) -> Planned:
    """Plan what is asked for: one shard of the matrix, where one is asked for.

    Raises:
        UserError: For anything that cannot work.
    """
    from ltbench.planning.shards import part

    planned = plan_matrix(request, registry, find_weights(request))
    shard = request.how.shard
    return planned if shard is None else Planned(planned.datasets, part(planned.plans, shard), planned.weights)


def plan_matrix(request: Request, registry: Registry, weights: Weights | None = None, *, open_files: bool = True) -> Planned:
    """Resolve every name of a request and plan its whole matrix.

    Args:
        weights: See :func:`find_weights`; they are opened once for all plans of a command.
        open_files: Whether files that options name must be there; a record is read without them.

    Raises:
        UserError: For anything that cannot work.
    """
    from ltbench.data.naming import open_dataset
    from ltbench.planning.expression import check_settings
    from ltbench.planning.plan import change_protocol, plan_run
    from ltbench.terms.task import Task

    what, terms = request.what, request.terms
    settings = {registry.methods.get(name).spec.name: values for name, values in what.settings.items()}
    everything = what.methods == (ALL,)
    methods = list(registry.methods) if everything else list(what.methods)
    changes: dict[str, Any] = dict(terms.by_hand)
    asked = {name: changes.pop(name) for name in ALTERNATIVES if name in changes} if terms.track == PAPER else {}
    first = _file_hash(request.how.stage1)
    datasets: dict[str, Dataset] = {}
    plans: list[RunPlan] = []
    for text in what.datasets:
        dataset, ratio = open_dataset(text, registry, what.imbalance_ratio, root=request.how.data_root,
                                      download=request.how.download)
        name = dataset.name
        if name in datasets and datasets[name].images != dataset.images:
            raise UserError(f"--dataset must not hold two sets called {name!r}: run them one after the other, got {text!r}")
        base = _protocol(dataset, COMMON if terms.track == PAPER else terms.protocol or DEFAULT_PROTOCOL)
        start = find_start(request, base)
        elsewhere = weights or start
        dataset = elsewhere.view(dataset) if elsewhere else dataset
        resized = dataset.at_size(changes.get("image_size", dataset.image_size))
        # What is trained stays as the protocol's name says: the noise has a field of its own in every record and table.
        protocol = change_protocol(base, {**changes, "image_size": None} if resized is dataset else changes)
        datasets[name] = dataset = resized
        protocol = protocol.replace(eval_noise=terms.test_noise, measure_every=terms.measure_every, splits=terms.splits,
                                    name=protocol.name)
        protocol = protocol.replace(hold_out=terms.hold_out)
        registry.backbone(protocol.backbone)
        for split_seed, seed in ((split_seed, seed) for split_seed in what.split_seeds for seed in what.seeds):
            task = Task(name, ratio, what.imbalance, split_seed, seed, terms.track, protocol.name)  # type: ignore[arg-type]
            for method in list(methods):
                try:
                    plan = plan_run(method, task, protocol, registry, dataset, settings=settings,
                                    precision=terms.precision, external=elsewhere.sha256 if elsewhere else first,
                                    pretraining=elsewhere.describe(dataset) if elsewhere else None, paper=terms.paper,
                                    asked=asked, accumulation=request.how.accumulation, start=start, open_files=open_files)
                    if weights:
                        require_later_stages(plan, method)
                    plans.append(plan)
                except UserError as error:
                    if not everything:
                        raise
                    # Nobody asked for this one by name: one installed method must not keep all others from running.
                    if not _wants_more(method, registry):
                        print(f"warning: {method} is left out: {error}", file=sys.stderr)
                    methods.remove(method)
    if not plans:
        raise UserError("none of the installed methods can be run like this")
    check_settings(settings, [plan.expression for plan in plans])
    unique = {plan.file_name: plan for plan in plans}  # two spellings of one expression are one run
    return Planned(datasets, list(unique.values()), weights)


def _wants_more(method: str, registry: Registry) -> bool:
    """Tell whether it is no news that a method cannot run as it is: one for transformers, or one that reads a user's file."""
    from ltbench.method.class_files import named_files
    from ltbench.planning.expression import choose

    if registry.methods.get(method).spec.needs_transformer:
        return True
    try:
        return any(not file.name for file in named_files(choose(method, registry).values))
    except UserError:
        return False


def require_later_stages(plan: RunPlan, text: str) -> None:
    """Refuse what does not stand on frozen features alone, before any data is read.

    Args:
        text: Its expression, as typed.

    Raises:
        UserError: If a first stage of its own was asked for, the first later stage reads a classifier that is not there, or
            any trains the backbone.
    """
    later = plan.stages[1:]
    if not later or not all(choice.entry.spec.base for choice in plan.stages[0].choices):
        raise UserError(f"with --weights the first stage is given: name second-stage methods, got {text!r} "
                        "(ltbench methods --stage 2 lists them)")
    needing = [choice.method.name for choice in later[0].choices if choice.entry.spec.needs_classifier]
    if needing or later[0].trial.evaluation_only:
        name = (needing or [later[0].text])[0]
        raise UserError(f"{name!r} needs the classifier of the stage before, and --weights bring none")
    for stage in later:
        if stage.trial.backbone != "frozen":
            raise UserError(f"with --weights the backbone must stay frozen, got {stage.trial.backbone} in {stage.text!r}")


def _protocol(dataset: Dataset, name: str) -> Protocol:
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
