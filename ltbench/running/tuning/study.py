"""A study: the trials of one expression, and what was chosen."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list

from ltbench.data.overlap import refuse_trained
from ltbench.data.task_data import TaskData
from ltbench.errors import Diverged, UserError, brief
from ltbench.planning.plan import RunPlan
from ltbench.results.accuracy import per_class_counts, shot_accuracy
from ltbench.results.evaluate import predict_test
from ltbench.running.checks import check_budget, check_split_seeds
from ltbench.running.runner import Runner
from ltbench.running.tuning.judged import tell_score
from ltbench.running.tuning.sampler import NAME, Sampler, require_optuna
from ltbench.running.tuning.space import space_of, spelled
from ltbench.running.tuning.trials import COMPLETED, DIVERGED, REFUSED, Trial, TrialFile
from ltbench.running.tuning.validation import Validation, trial_data


class TrialFailed(Exception):
    """Report that a study has nothing to choose from, or a trial broke: the same command begins with that trial again."""


@dataclass(frozen=True)
class Study:
    """Say how an expression is tuned.

    Args:
        base: The plan of a trial, with every tuned hyperparameter at its default.
        plan: Makes the plan of a trial with values by ``method.name``.
        trials: How many, equal for all expressions that are compared.
        seed: Of the sampler; that of the trials' training stands in the plans.
        folder: Where finished trials are kept.
    """

    base: RunPlan
    plan: Callable[[Mapping[str, Any]], RunPlan]
    trials: int
    seed: int
    folder: Path


def check(base: RunPlan, runner: Runner) -> None:
    """Refuse what no trial could train on.

    Raises:
        UserError: If the data has no image to spare, validates on images that it trains on, a batch holds more than what is left,
            or nothing is drawn by a split seed.
    """
    check_split_seeds([base], runner.data, tunes=True)
    whole = runner.data.of(base, validates=True)
    refuse_trained(whole.dataset, whole.parts, planning=runner.options.dry_run)
    data, _ = trial_data(whole, base.task.split_seed, base.protocol.per_class)
    check_budget(base, data, runner.accelerator.num_processes, runner.options.accumulation)


def tune(study: Study, runner: Runner) -> dict[str, Any]:
    """Run what is missing of a study, and return what its final record says of it.

    Args:
        runner: Holds data and stages: trials share them with each other and with the final runs.

    Returns:
        ``expression`` as it was tuned, ``space``, ``sampler``, ``budget`` of each expression, ``validation``, ``trials`` and the
        position of the ``chosen`` one, None where the expression has nothing to tune.

    Raises:
        UserError: If the trials cannot be kept.
        TrialFailed: If training or prediction broke, for another reason than a loss that is no number, or no trial completed.
    """
    base = study.base
    data, validation = trial_data(runner.data.of(base, validates=True), base.task.split_seed, base.protocol.per_class)
    space = space_of(base)
    content = {
        "expression": str(base.expression),
        "space": {name: where.as_dict() for name, where in space.items()},
        "sampler": {"name": NAME, "seed": study.seed, "optuna": require_optuna()},
        "validation": {**asdict(validation), "counts": list(validation.counts)},
    }
    trials: list[Trial] = []
    if space:
        identity = json.dumps([content, base.on(data.fingerprint).key], sort_keys=True)
        file = TrialFile(study.folder / f"{base.file_name}.jsonl", hashlib.sha256(identity.encode()).hexdigest())
        trials = _run(study, runner, data, validation, file)
    return {**content, "budget": {"trials": study.trials, "protocol": base.protocol.as_dict()},
            "trials": [asdict(trial) for trial in trials], "chosen": best(trials) if space else None}


def best(trials: Sequence[Trial]) -> int:
    """Return the position of the highest score; of equal ones the first.

    Raises:
        TrialFailed: If none completed.
    """
    scores = [-1.0 if trial.score is None or trial.status != COMPLETED else trial.score for trial in trials]
    if max(scores) < 0:
        raise TrialFailed(f"none of {len(trials)} trials completed, the last one {trials[-1].status}")
    return scores.index(max(scores))


def _run(study: Study, runner: Runner, data: TaskData, validation: Validation, file: TrialFile) -> list[Trial]:
    """Replay the trials that are known, so that the sampler goes on where it was, and run the others."""
    main = runner.accelerator.is_main_process
    known: list[list[Trial]] = [file.read() if main else []]
    broadcast_object_list(known)  # every process asks a sampler of its own, which must hear the same
    if main:
        file.start(known[0])
    sampler = Sampler(space_of(study.base), study.seed)
    trials: list[Trial] = []
    for number in range(study.trials):
        values = sampler.ask()
        if number < len(known[0]) and known[0][number].values == values:
            trial = known[0][number]
        else:
            trial = _try(study, values, runner, data)
            if main:
                file.add(number, trial)
                completed = trial.status == COMPLETED
                said = tell_score(trial.score or 0.0, validation.counts) if completed else trial.status
                print(f"[trial {number + 1}/{study.trials}] {study.base.expression} with {' '.join(spelled(values))}: {said}",
                      file=sys.stderr)
        sampler.tell(trial.score)
        trials.append(trial)
    return trials


def _try(study: Study, values: dict[str, Any], runner: Runner, data: TaskData) -> Trial:
    try:
        plan = study.plan(values).on(data.fingerprint)
    except UserError as problem:  # two values, each good alone, that a method does not take together
        if runner.accelerator.is_main_process:
            print(f"warning: {problem}", file=sys.stderr)
        return Trial(values, None, REFUSED)
    stage = None
    try:
        for part in plan.stages:
            stage = runner.stages.obtain(part, plan.task.seed, data, stage)
        assert stage is not None  # an expression has a stage
        protocol = plan.stages[-1].protocol
        predictions = predict_test(stage.engine, data, runner.accelerator, flip=protocol.eval_flip, noise=protocol.eval_noise)
    except Diverged:
        return Trial(values, 0.0, DIVERGED)
    except (Exception, SystemExit) as error:
        if runner.accelerator.num_processes > 1:
            raise  # the other processes wait for this one: end all of them
        raise TrialFailed(f"a trial of {plan.expression}: {brief(error)}") from error
    correct, total = per_class_counts(predictions, data.dataset.num_classes)
    return Trial(values, shot_accuracy(correct, total, data.class_counts.numpy())["all"], COMPLETED)
