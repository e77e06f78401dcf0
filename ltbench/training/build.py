"""Build the engine of a stage: backbone, head and methods, from seeds of their own."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ltbench.backbones.making import make_backbone
from ltbench.backbones.operations import count_operations
from ltbench.backbones.request import BackboneRequest, feature_dim
from ltbench.backbones.tuning import train_only
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.method import hyperparameters
from ltbench.method.context import Context
from ltbench.method.factories import BackboneFactory, HeadFactory
from ltbench.method.stack import Stack
from ltbench.method.values import Facts
from ltbench.planning.plan import StagePlan
from ltbench.registry.discovery import Registry
from ltbench.training.engine import Engine
from ltbench.training.external import start_from


@dataclass(frozen=True)
class BackboneFacts:
    """Hold what planning needs of a backbone.

    Args:
        operations: Of its products and convolutions for one image: two for each multiplication and addition.
    """

    parameters: int
    feature_dim: int
    operations: int


_KNOWN: dict[tuple[str, BackboneRequest], BackboneFacts] = {}


def backbone_facts(name: str, data: TaskData, registry: Registry) -> BackboneFacts:
    """Return the facts of a registered backbone, which is built once in a process; the global generator is left as it was."""
    entry, member = registry.backbone(name)
    identity = entry.spec.target, BackboneRequest(member, data.dataset.channels, data.dataset.image_size)
    if identity not in _KNOWN:
        with torch.random.fork_rng(devices=[]):
            built = make_backbone(name, data.dataset, registry).eval()
            image = torch.zeros(1, data.dataset.channels, data.dataset.image_size, data.dataset.image_size)
            operations = count_operations(built, image)
        _KNOWN[identity] = BackboneFacts(sum(p.numel() for p in built.parameters()), feature_dim(built), operations)
    return _KNOWN[identity]


def build_engine(plan: StagePlan, seed: int, epochs: int, data: TaskData, registry: Registry, previous: Engine | None,
                 make_context: Callable[[Engine], Context]) -> Engine:
    """Build a stage's engine on the CPU, with its initial weights; the global generator is left as it was.

    Backbone, methods and head draw from seeds of their own, so that stacks which differ in one of them share the rest.
    """
    with torch.random.fork_rng(devices=[]):
        factory = _factory(plan, seed, data, registry, previous)
        kept = None if previous is None or plan.trial.tunes_backbone else previous.backbone
        width = factory.feature_dim if kept is None else feature_dim(kept)
        facts = Facts(data.class_counts, width, epochs, data.class_names)
        torch.manual_seed(derive_seed("methods", seed, plan.number))
        stack = Stack([hyperparameters.build(choice.method, facts, choice.values) for choice in plan.choices], plan.number)
        if kept is None:
            torch.manual_seed(derive_seed("branches", seed, *_later(plan)))
            backbone = stack.owner("build_backbone").build_backbone(factory)
        else:
            backbone = (kept if stack.backbone == "frozen" else copy.deepcopy(kept)).requires_grad_(False)
        heads = HeadFactory(stack.owner("make_classifier").make_classifier, feature_dim(backbone), facts.num_classes)
        torch.manual_seed(derive_seed("head", seed, plan.number))
        head = stack.owner("build_head").build_head(heads)
    engine = Engine(backbone, head, stack, make_context).to(memory_format=torch.channels_last)
    engine.rests = plan.start is not None
    return engine


def _factory(plan: StagePlan, seed: int, data: TaskData, registry: Registry, previous: Engine | None) -> BackboneFactory:
    """Return what gives the backbones of a stage: new ones, or copies of the one that the stage before has left.

    New ones have random weights, or those that training starts from.
    """
    name, dataset, numbers, start = plan.protocol.backbone, data.dataset, itertools.count(), plan.start
    shape = dataset.channels, dataset.image_size, dataset.image_size
    if previous is not None and plan.trial.backbone != "fresh":
        below = previous.backbone
        return BackboneFactory(name, lambda: train_only(copy.deepcopy(below), start.tune if start else "all"), shape,
                               inherited=True)

    def fresh() -> nn.Module:
        number = next(numbers)  # every backbone of a stage has weights of its own, whatever else the stage draws
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("backbone", seed, *_later(plan), *([number] if number else [])))
            made = make_backbone(name, data.dataset, registry)
        return made if start is None else start_from(made, start)

    return BackboneFactory(name, fresh, shape, inherited=start is not None)


def _later(plan: StagePlan) -> list[str]:
    """Return what tells the random numbers of a later stage's backbone from those of the first stage's."""
    return [f"stage {plan.number}"] if plan.number > 1 else []
