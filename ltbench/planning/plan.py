"""What a run will do, known before any data is read: its stages, their realized protocols, and the keys of their results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from ltbench.data.base import Dataset
from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.method.kinds import check_below, check_trainable, left_by
from ltbench.method.stack import Stack, evaluation_only, slots_of
from ltbench.method.values import Facts
from ltbench.planning.augmentations import check_views, planned_views
from ltbench.planning.cut_batches import sees_cuts
from ltbench.planning.expression import Expression, Member, as_typed, resolve
from ltbench.planning.papers import PaperStage, apply_papers
from ltbench.planning.trial_models import check_model
from ltbench.registry import sources
from ltbench.registry.discovery import Registry
from ltbench.registry.run_info import RunInfo
from ltbench.terms.protocol import PAPER, Protocol
from ltbench.terms.shots import USUAL
from ltbench.terms.task import Task

if TYPE_CHECKING:
    from ltbench.backbones.start import Start

# Fields of a protocol that say nothing about the training of a first or of a later stage.
_NOT_TRAINING = {"name", "eval_flip", "eval_noise", "splits"}
# How a method's override of a general field reads in a later stage.
_STAGE2_FIELDS = {"weight_decay": "stage2_weight_decay", "lr": "stage2_lr", "batch_size": "stage2_batch_size",
                  "schedule": "stage2_schedule"}
_STAGE1_ONLY = ("epochs", "warmup")  # and the backbone


@dataclass(frozen=True, eq=False)
class StagePlan:
    """Plan one stage.

    Args:
        number: From 1.
        protocol: As realized: the task's, changed by the paper track and by the methods' own overrides.
        overrides: What the methods changed of it.
        key: Of its result; that of the stage before, where this one only changes predictions.
        trial: The stack built on made-up facts, to ask it what it is.
        leaves: The kind of classifier that it ends with; None where its methods do not say.
        start: Weights that its backbone starts from, where it is not that of the stage before; None for random ones.
    """

    number: int
    choices: tuple[Member, ...]
    protocol: Protocol
    overrides: Mapping[str, Any]
    key: str
    previous: StagePlan | None
    trial: Stack = field(repr=False)
    leaves: str | None = None
    start: Start | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The stage's part of the canonical expression."""
        return "+".join(str(choice) for choice in self.choices)


@dataclass(frozen=True, eq=False)
class RunPlan:
    """Plan one run: one expression, one task.

    Args:
        protocol: The task's, before a method of any stage changes it.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        external: sha256 of a user's own first stage or of a backbone's weights, or None.
        paper: In the paper track, the method on whose paper's terms all stages stand; None where each brings its own.
        key: Of the whole run: what trains and what predicts.
        images: Digest of the dataset's images, where its name does not say which they are.
        pretraining: What a record says of weights that others trained, where the first stage is a backbone with such, or starts
            from them; they enter the keys.
        tuning: What a record says of the trials that chose the hyperparameters; it changes no key, for it changes no training.
        typed: The expression with the methods of each stage in the order in which they were typed, for people alone.
    """

    expression: Expression
    task: Task
    protocol: Protocol
    stages: tuple[StagePlan, ...]
    precision: str
    external: str | None
    paper: str | None
    key: str
    images: str | None = None
    pretraining: Mapping[str, Any] | None = None
    tuning: Mapping[str, Any] | None = None
    typed: str = ""

    def on(self, data: str | None) -> RunPlan:
        """Return the plan with keys that also name the images, where a list says which there are.

        Args:
            data: Digest of the images; None, which changes nothing, where the dataset's name says which they are.
        """
        if data is None:
            return self
        stages: list[StagePlan] = []
        for stage in self.stages:
            before = stages[-1] if stages else None
            key = before.key if before and stage.trial.evaluation_only else _digest([stage.key, data])
            stages.append(replace(stage, key=key, previous=before))
        return replace(self, stages=tuple(stages), key=_digest([self.key, data]))

    @property
    def file_name(self) -> str:
        """The stem of the record's file: readable, and equal for runs that should replace each other."""
        identity = _digest([self.expression.hash, str(self.task), self.task.imbalance_ratio, self.task.split_seed,
                            self.task.track, self.protocol.as_dict(), self.precision, self.external, self.paper,
                            *([self.images] if self.images else []), *([self.pretraining] if self.pretraining else []),
                            *([self.tuning] if self.tuning else [])])
        text = re.sub(r"[^a-z0-9.@-]+", "-", f"{self.task}_{self.protocol.name}_{self.expression}".lower()).strip("-")
        return f"{text[:120]}_s{self.task.seed}_{identity[:8]}"


def plan_run(text: str, task: Task, protocol: Protocol, registry: Registry, dataset: Dataset, *,
             settings: Mapping[str, Mapping[str, Any]] | None = None, precision: str = "fp32",
             external: str | None = None, pretraining: Mapping[str, Any] | None = None, paper: str | None = None,
             asked: Mapping[str, Any] | None = None, accumulation: int = 1, start: Start | None = None,
             open_files: bool = True) -> RunPlan:
    """Resolve an expression for a task.

    Args:
        protocol: The task's protocol, with what the user changed.
        dataset: The task's; its code and constants enter the keys, its images are not read.
        external: sha256 of a user's own first stage, or of a backbone's weights.
        paper: See :func:`ltbench.planning.papers.apply_papers`; for the paper track.
        accumulation: Parts that each process splits its share of a global batch into; in the keys of stages that depend on it.
        start: Weights that training starts from; ``pretraining`` describes them.
        open_files: Whether files that options name must be there; a record is read without them.

    Raises:
        UserError: For anything that cannot work.
    """
    if task.track == PAPER:
        paper = registry.methods.get(paper).spec.name if paper else None
        written = apply_papers(text, task, registry, settings or {}, paper=paper, asked=asked, base=protocol.as_dict())
    else:
        written = [PaperStage(stage, {}) for stage in resolve(text, registry, settings).stages]
    expression = Expression(tuple(stage.choices for stage in written))
    facts = Facts(torch.arange(dataset.num_classes, 0, -1) * 10, feature_dim=max(2, dataset.num_classes), epochs=protocol.epochs)
    ground = {"dataset": _facts_of(dataset), "precision": precision,
              "task": [task.dataset, task.imbalance_ratio, task.imbalance, task.split_seed, task.seed],
              **({"pretraining": pretraining} if pretraining else {})}
    stages: list[StagePlan] = []
    terms: list[Protocol] = []  # of each stage, before its methods change them
    for number, stage in enumerate(written, start=1):
        previous = stages[-1] if stages else None
        trial = Stack([hyperparameters.build(choice.method, facts, choice.values) for choice in stage.choices], number)
        if previous:
            check_below(trial, previous.leaves, previous.text)
            check_trainable(trial, facts)
        if previous and trial.evaluation_only:
            own = previous.protocol  # such a stage is evaluated as the one that it stands on
        else:
            changes = {**stage.protocol, "name": task.track} if task.track == PAPER else {}
            if previous:  # which has no backbone of its own
                changes["backbone"] = previous.protocol.backbone
            own = _change(protocol, changes, f"paper setting of {stage.text}")
            own = own.replace(name=task.track if task.track == PAPER else protocol.name)
        terms.append(own)
        overrides = _overrides(trial, stage.text)
        realized = _change(own, overrides, f"protocol override of {stage.text}").replace(name=own.name)
        if not trial.owns("measure"):
            realized = realized.replace(measure_every=None, name=own.name)  # and its result is shared with runs that never asked
        if start is not None and realized.backbone != start.backbone:
            raise UserError(f"--init gives weights of {start.backbone}, and {stage.text} wants {realized.backbone}")
        if realized.layer_decay is not None and not realized.backbone.startswith("timm:"):
            raise UserError(f"--layer-decay needs a backbone of timm, whose layers are known: --backbone timm:NAME, got "
                            f"{realized.backbone}")
        if realized.image_size != protocol.image_size:  # images are decoded once for all that a command compares
            raise UserError(f"image_size of {stage.text} must be {protocol.image_size}, the task's, got {realized.image_size}")
        if previous and trial.evaluation_only:
            key = previous.key
        else:
            views = planned_views(trial, facts, realized)
            augmenting = check_views([realized.augmentation, *views], dataset, registry)
            # A method that overrides nothing trains as the core does, whatever it is called.
            training = [choice for choice in stage.choices if slots_of(choice.method) and not evaluation_only(choice.method)]
            cut = accumulation > 1 and sees_cuts(training, trial, realized, registry, dataset)
            key = _digest({**ground, **_training(number, trial.ranks_as, training, realized, registry),
                           **({"augmentations": augmenting} if augmenting else {}),
                           "previous": previous and previous.key, "external": external if number == 1 else None,
                           **({"accumulation": accumulation} if cut else {})})
        stages.append(StagePlan(number, stage.choices, realized, overrides, key, previous, trial,
                                left_by(trial, previous.leaves if previous else None), start))
        check_model(stages[-1], dataset, registry, open_files=open_files)
    shared = terms[0]
    if task.track == PAPER:
        shared = shared.replace(eval_flip=terms[-1].eval_flip, name=PAPER)
    key = _digest([stages[-1].key, [[_method_key(c) for c in stage.choices] for stage in stages], task.track, protocol.name,
                   stages[-1].protocol.eval_flip, *([protocol.eval_noise] if protocol.eval_noise else []),
                   *([{"measure_every": protocol.measure_every}] if protocol.measure_every else []),
                   *([{"splits": protocol.splits}] if protocol.splits != USUAL else [])])
    return RunPlan(expression, task, shared, tuple(stages), precision, external, paper, key, dataset.images, pretraining,
                   typed=as_typed(expression, text, registry))


def info_of(plan: RunPlan, number: int, total: int) -> RunInfo:
    """Name a planned run.

    Args:
        number: Position in the matrix, from 1.
    """
    return RunInfo(plan.typed or str(plan.expression), str(plan.task), plan.task.seed, number, total, plan.file_name)


def change_protocol(base: Protocol, changes: Mapping[str, Any]) -> Protocol:
    """Apply the user's changes to a protocol; it is ``custom`` if any differs.

    Raises:
        UserError: For a value that the protocol refuses.
    """
    return _change(base, changes, "protocol")


def _change(protocol: Protocol, changes: Mapping[str, Any], what: str) -> Protocol:
    try:
        return protocol.replace(**changes)
    except (TypeError, ValueError) as error:
        raise UserError(f"the {what} is refused: {error}") from error


def _overrides(trial: Stack, text: str) -> dict[str, Any]:
    changes = trial.protocol_overrides()
    anew = trial.ranks_as == 1
    for name in changes if trial.stage > 1 else ():
        if name == "backbone" or name in _STAGE1_ONLY and not anew:
            raise UserError(f"the protocol override of {text} changes {name!r}, which has no meaning in stage {trial.stage}")
    return changes if anew else {_STAGE2_FIELDS.get(name, name): value for name, value in changes.items()}


def _facts_of(dataset: Dataset) -> list[Any]:
    return [dataset.name, sources.source_hashes(type(dataset)), dataset.num_classes, dataset.mean, dataset.std,
            dataset.image_size, dataset.crop_padding, dataset.max_per_class]


def _method_key(choice: Member) -> list[Any]:
    return [choice.method.name, dict(choice.values), sources.source_hashes(choice.method)]


def _training(number: int, ranks_as: int, training: Sequence[Member], protocol: Protocol, registry: Registry) -> dict[str, Any]:
    """Return what the training of a stage depends on, besides its task and the stage before."""
    builder = registry.backbone(protocol.backbone)[0].spec.target.partition(":")[0]
    return {"revision": sources.TRAINING_REVISION, "stage": number, "backbone": sources.module_hashes([builder]),
            "methods": [_method_key(choice) for choice in training],
            "protocol": {name: value for name, value in protocol.as_dict().items()
                         if name not in _NOT_TRAINING and not (ranks_as == 1 and name.startswith("stage2_"))}}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
