"""What a run will do, known before any data is read: its stages, their realized protocols, and the keys of their results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ltbench import hyperparameters, sources
from ltbench.errors import UserError
from ltbench.expression import Choice, Expression, resolve
from ltbench.method import Facts, PaperSetting
from ltbench.protocols import PAPER, Protocol
from ltbench.registry import Registry
from ltbench.stack import Stack, evaluation_only
from ltbench.task import Task

# Fields of a protocol that say nothing about the training of a first or of a later stage.
_NOT_TRAINING = {"name", "eval_flip"}
# How a method's override of a general field reads in a later stage.
_STAGE2_FIELDS = {"weight_decay": "stage2_weight_decay", "lr": "stage2_lr", "batch_size": "stage2_batch_size"}


@dataclass(frozen=True, eq=False)
class StagePlan:
    """Plan one stage.

    Args:
        number: From 1.
        choices: Its methods.
        protocol: As realized: the task's, changed by the paper track and by the methods' own overrides.
        overrides: What the methods changed of it.
        key: Of its result; that of the stage before, where this one only changes predictions.
        previous: The stage before.
        trial: The stack built on made-up facts, to ask it what it is.
    """

    number: int
    choices: tuple[Choice, ...]
    protocol: Protocol
    overrides: Mapping[str, Any]
    key: str
    previous: StagePlan | None
    trial: Stack = field(repr=False)

    @property
    def text(self) -> str:
        """The stage's part of the canonical expression."""
        return "+".join(str(choice) for choice in self.choices)


@dataclass(frozen=True, eq=False)
class RunPlan:
    """Plan one run: one expression, one task.

    Args:
        expression: Resolved.
        task: The task.
        protocol: The task's, before any stage changes it.
        stages: In order.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        external: sha256 of a user's own first stage, or None.
        key: Of the whole run: what trains and what predicts.
    """

    expression: Expression
    task: Task
    protocol: Protocol
    stages: tuple[StagePlan, ...]
    precision: str
    external: str | None
    key: str

    @property
    def file_name(self) -> str:
        """The stem of the record's file: readable, and equal for runs that should replace each other."""
        identity = _digest([self.expression.hash, str(self.task), self.task.split_seed, self.task.track, self.protocol.as_dict(),
                            self.precision, self.external])
        text = re.sub(r"[^a-z0-9.@-]+", "-", f"{self.task}_{self.protocol.name}_{self.expression}".lower()).strip("-")
        return f"{text[:120]}_s{self.task.seed}_{identity[:8]}"


def plan_run(text: str, task: Task, protocol: Protocol, registry: Registry, *, num_classes: int,
             settings: Mapping[str, Mapping[str, Any]] | None = None, precision: str = "fp32",
             external: str | None = None) -> RunPlan:
    """Resolve an expression for a task.

    Args:
        text: The expression.
        task: The task.
        protocol: The task's protocol, with what the user changed.
        registry: Where names are looked up.
        num_classes: C.
        settings: Hyperparameters from ``--set``.
        precision: Of the training.
        external: sha256 of a user's own first stage.

    Raises:
        UserError: For anything that cannot work.
    """
    papers: list[PaperSetting | None] = []
    if task.track == PAPER:
        text, papers = _paper_text(text, task, registry, settings or {})
    expression = resolve(text, registry, settings)
    facts = Facts(torch.arange(num_classes, 0, -1) * 10, feature_dim=max(2, num_classes), epochs=protocol.epochs)
    stages: list[StagePlan] = []
    for number, choices in enumerate(expression.stages, start=1):
        realized = protocol
        if task.track == PAPER:
            paper = papers[number - 1] if number <= len(papers) else None
            realized = protocol.replace(**{**(paper.protocol if paper else {}), "name": PAPER})
        trial = Stack([hyperparameters.build(choice.method, facts, choice.values) for choice in choices], number)
        overrides = {(_STAGE2_FIELDS.get(name, name) if number > 1 else name): value
                     for name, value in trial.protocol_overrides().items()}
        try:
            realized = realized.replace(**overrides, name=realized.name)
        except (TypeError, ValueError) as error:
            raise UserError(f"a protocol override of {'+'.join(map(str, choices))} is refused: {error}") from error
        previous = stages[-1] if stages else None
        if trial.evaluation_only and previous is not None:
            key = previous.key
        else:
            key = _stage_key(number, choices, realized, task, precision, previous, external)
        stages.append(StagePlan(number, choices, realized, overrides, key, previous, trial))
    record_protocol = stages[0].protocol.replace(name=PAPER) if task.track == PAPER else protocol
    key = _digest([stages[-1].key, [[_method_key(c) for c in stage.choices] for stage in stages], task.track, protocol.name,
                   stages[-1].protocol.eval_flip])
    return RunPlan(expression, task, record_protocol, tuple(stages), precision, external, key)


def _paper_text(text: str, task: Task, registry: Registry,
                settings: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[PaperSetting | None]]:
    """Add what the papers of an expression's methods say: companions, hyperparameters, the stage that a method stands on."""
    bare = resolve(text, registry, settings)
    own = [_joined_paper(stage, task) for stage in bare.stages]
    if not any(own):
        raise UserError(f"no method of {bare} states a paper setting for {task}; use --track common")
    below = own[-1].stage1 if own[-1] and len(own) > 1 else None
    typed_stages = text.count("/") + 1
    if below and typed_stages < len(own):  # the first stage was implied: it is the paper's
        bare = resolve(text, registry, settings, stage1=below)
        own = [_joined_paper(stage, task) for stage in bare.stages]
    parts = []
    for stage, paper in zip(bare.stages, own, strict=True):
        names = [choice.method.name for choice in stage]
        texts = []
        for choice in stage:
            setting = choice.method.paper(task)
            values = dict(choice.values)
            defaults = {name: default for name, (_, default) in hyperparameters.declared(choice.method).items()}
            for name, value in (setting.hyperparameters if setting else {}).items():
                if values[name] == defaults[name]:  # what the user typed stays
                    values[name] = hyperparameters.resolve(choice.method, {name: value})[name]
            texts.append(str(Choice(choice.entry, choice.method, values)))
        texts += [name for name in (paper.companions if paper else ()) if name not in names]
        parts.append("+".join(texts))
    return "/".join(parts), own


def _joined_paper(stage: tuple[Choice, ...], task: Task) -> PaperSetting | None:
    """Join the paper settings of one stage's methods.

    Raises:
        UserError: If two disagree.
    """
    protocol: dict[str, Any] = {}
    companions: list[str] = []
    stage1: str | None = None
    settings = [(choice, choice.method.paper(task)) for choice in stage]
    for choice, setting in settings:
        if setting is None:
            continue
        for name, value in setting.protocol.items():
            if protocol.setdefault(name, value) != value:
                names = "+".join(c.method.name for c in stage)
                raise UserError(f"the papers of {names} disagree on {name}: {protocol[name]} and {value} ({choice.method.name})")
        companions += [name for name in setting.companions if name not in companions]
        stage1 = stage1 or setting.stage1
    if all(setting is None for _, setting in settings):
        return None
    return PaperSetting(protocol, {}, tuple(companions), stage1)


def _method_key(choice: Choice) -> list[Any]:
    return [choice.method.name, dict(choice.values), sources.source_hashes(choice.method)]


def _stage_key(number: int, choices: tuple[Choice, ...], protocol: Protocol, task: Task, precision: str,
               previous: StagePlan | None, external: str | None) -> str:
    kept = {name: value for name, value in protocol.as_dict().items()
            if name not in _NOT_TRAINING and not (number == 1 and name.startswith("stage2_"))}
    training = [_method_key(choice) for choice in choices
                if not choice.entry.spec.base and not evaluation_only(choice.method)]
    return _digest({"revision": sources.TRAINING_REVISION, "dataset": task.dataset, "ratio": task.imbalance_ratio,
                    "imbalance": task.imbalance, "split_seed": task.split_seed, "seed": task.seed, "stage": number,
                    "protocol": kept, "methods": training, "precision": precision, "external": external if number == 1 else None,
                    "previous": previous.key if previous else None})


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def name_protocol(base: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """Apply the user's changes to a protocol; it is ``custom`` if any differs.

    Raises:
        UserError: For a value that the protocol refuses.
    """
    try:
        return base.replace(**changes)
    except ValueError as error:
        raise UserError(str(error)) from error
