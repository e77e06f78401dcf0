"""Whether a stage's model can be made of what there is: found out without its weights, before any data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ltbench.backbones.making import make_backbone
from ltbench.backbones.request import feature_dim
from ltbench.data.base import Dataset
from ltbench.data.class_names import known_names, told_names
from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.method.class_files import named_files
from ltbench.method.contract import KEPT
from ltbench.method.factories import BackboneFactory, HeadFactory
from ltbench.method.kinds import kind_of
from ltbench.method.reused_classifier import ReusedClassifier
from ltbench.method.stack import Stack
from ltbench.method.values import Facts
from ltbench.registry.discovery import Registry

if TYPE_CHECKING:
    from ltbench.planning.plan import StagePlan

_PARTS = ("trunk", "last_stage", "pool")


def check_model(stage: StagePlan, dataset: Dataset, registry: Registry, *, open_files: bool) -> None:
    """Make a stage's backbone and head, where a method has a say in it that can be refused.

    Backbones are made on shapes alone, heads for real: they are small, and may hold what they read of a file. What cannot be made
    without numbers is left to the run.

    Args:
        open_files: Whether files that options name are opened, and their hashes compared.

    Raises:
        UserError: What the method, a factory or a file's check says.
    """
    files = [file for choice in stage.choices for file in named_files(choice.values)]
    named = [file for file in files if file.name]
    for file in named if open_files else ():
        file.check()
    specs = [choice.entry.spec for choice in stage.choices]
    if not (stage.trial.owns("build_backbone") or files or any(spec.needs_parts or spec.continues for spec in specs)):
        return
    try:
        stack, backbone = _backbone(stage, dataset, registry)
        known = open_files and known_names(dataset, None) is not None  # else the images' folders may say what classes are called
        head = _head(stack, backbone, dataset) if known or not named else None
        for spec in specs:
            if spec.needs_parts and (lacking := [part for part in _PARTS if not hasattr(backbone, part)]):
                raise UserError(f"{spec.name!r} must have a backbone with {', '.join(_PARTS[:-1])} and {_PARTS[-1]}, got "
                                f"{_named(stage, stack)} without {lacking[0]}")
            if spec.continues and head is not None:
                _check_continued(spec.name, stage, (backbone, head), dataset, registry)
    except UserError:
        raise
    except Exception:  # whatever a stranger's network does with tensors that hold no numbers
        return


def _backbone(stage: StagePlan, dataset: Dataset, registry: Registry) -> tuple[Stack, nn.Module]:
    """Return a stage's methods, built for its width, and its backbone without weights, as ``build_engine`` makes them."""
    previous, name = stage.previous, stage.protocol.backbone
    below = None if previous is None or stage.trial.backbone == "fresh" else previous

    def build() -> nn.Module:
        if below is not None:
            return _backbone(below, dataset, registry)[1]
        with torch.device("meta"):
            return make_backbone(name, dataset, registry)

    make = BackboneFactory(name, build, (dataset.channels, dataset.image_size, dataset.image_size),
                           inherited=below is not None or stage.start is not None)
    names = told_names(dataset, None)
    facts = Facts(stage.trial.methods[0].facts.class_counts, make.feature_dim, stage.protocol.epochs, names)
    with torch.random.fork_rng(devices=[]):
        stack = Stack([hyperparameters.build(choice.method, facts, choice.values) for choice in stage.choices], stage.number)
        if not stack.tunes_backbone:
            return stack, make.full()
        with torch.device("meta"):
            return stack, stack.owner("build_backbone").build_backbone(make)


def _head(stack: Stack, backbone: nn.Module, dataset: Dataset) -> nn.Module:
    heads = HeadFactory(stack.owner("make_classifier").make_classifier, feature_dim(backbone), dataset.num_classes)
    with torch.random.fork_rng(devices=[]):
        return stack.owner("build_head").build_head(heads)


def _trained(stage: StagePlan | None) -> StagePlan | None:
    """Return the stage that has trained what this one predicts with."""
    while stage is not None and stage.trial.evaluation_only:
        stage = stage.previous
    return stage


def _left_head(stage: StagePlan, dataset: Dataset, registry: Registry) -> nn.Module:
    """Return a head of the shapes that a stage leaves: its own, or one that it has kept or taken the classifier from."""
    stack, backbone = _backbone(stage, dataset, registry)
    head = _head(stack, backbone, dataset)
    owner, previous = stack.owner("build_head"), _trained(stage.previous)
    if previous is None:
        return head
    if owner.leaves == KEPT:
        return _left_head(previous, dataset, registry)
    if isinstance(owner, ReusedClassifier) and owner.needs:
        before = getattr(_left_head(previous, dataset, registry), "classifier", None)
        if isinstance(before, nn.Linear):
            head.classifier = owner.reuse(before)
    return head


def _named(stage: StagePlan, stack: Stack) -> str:
    return repr(stack.owner("build_backbone").name if stack.owns("build_backbone") else stage.protocol.backbone)


def _check_continued(name: str, stage: StagePlan, own: tuple[nn.Module, nn.Module], dataset: Dataset, registry: Registry) -> None:
    """Compare the shapes of a model that begins with the weights of the stage before with the shapes that these have.

    Heads of one class are compared whole, others by their classifiers.
    """
    if (previous := _trained(stage.previous)) is None:
        return
    pairs = [("backbone", own[0], _backbone(previous, dataset, registry)[1])]
    head = _left_head(previous, dataset, registry)
    if kind_of(head) == previous.leaves and type(head) is type(own[1]):
        pairs.append(("head", own[1], head))
    elif kind_of(head) == previous.leaves:
        pairs.append(("classifier", getattr(own[1], "classifier", own[1]), getattr(head, "classifier", head)))
    for part, mine, theirs in pairs:
        if (shapes := _shapes(mine)) != (others := _shapes(theirs)):
            place = next(key for key in (*shapes, *others) if shapes.get(key) != others.get(key))
            raise UserError(f"{name!r} begins with the weights of the stage before, whose {part} must have its own shapes: "
                            f"{place} must be {_told(shapes.get(place))}, got {_told(others.get(place))} from {previous.text!r}")


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _told(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else f"of shape {shape}"
