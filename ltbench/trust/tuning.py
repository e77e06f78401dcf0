"""What a record says of its trials: against itself, against the methods' search spaces, and against the images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.method.hyperparameters import search_space
from ltbench.method.search import Range, range_from
from ltbench.registry.discovery import Registry
from ltbench.results.schema import Record, Trial
from ltbench.running.tuning.judged import tell_judged
from ltbench.running.tuning.validation import OWN, trial_data
from ltbench.trust.remark import Level, Remark, error, warning


def check_trials(record: Record) -> Iterator[Remark]:
    """Yield where trials, their space and what was chosen do not fit each other."""
    tuning, claimed = record.tuning, record.tuning_trials
    if tuning is None:
        if claimed:
            yield error("tuning_trials", f"must be 0 where no trial is recorded, got {claimed}")
        return
    if tuning.trials and (judged := tell_judged(tuning.validation.counts, "validation")):
        yield warning("tuning.trials", f"scores are {judged}")
    trials, budget = tuning.trials, tuning.budget.trials if tuning.space else 0
    if not len(trials) == claimed == budget:
        yield error("tuning_trials", f"must be {budget}, of which the record holds {len(trials)}, got {claimed}")
        return
    try:
        space = {name: range_from(stated.as_dict()) for name, stated in tuning.space.items()}
    except ValueError as problem:
        yield error("tuning.space", str(problem))
        return
    for number, trial in enumerate(trials):
        yield from _values(trial, space, f"tuning.trials[{number}]")
    scores = [-1.0 if trial.score is None or trial.status != "completed" else trial.score for trial in trials]
    best = scores.index(max(scores)) if scores else None
    if tuning.chosen != best:
        yield error("tuning.chosen", f"must be {best}, the first of the highest score, got {tuning.chosen}")
    elif best is not None:
        yield from _chosen(record, trials[best].values)


def check_space(record: Record, registry: Registry, level: Level) -> Iterator[Remark]:
    """Yield where the space is not the one that the methods declare.

    Args:
        level: Of what is found: nobody can tell whether a file that has changed since said otherwise.
    """
    for name, stated in (record.tuning.space if record.tuning else {}).items():
        method, _, key = name.partition(".")
        try:
            declared = search_space(registry.methods.get(method).load()).get(key)
        except UserError as problem:
            yield Remark(level, f"tuning.space.{name}", str(problem))
            continue
        if declared is None or declared.as_dict() != stated.as_dict():
            yield Remark(level, f"tuning.space.{name}", f"must be {declared or 'left out'}, as {method} declares it")


def check_validation(record: Record, data: TaskData) -> Iterator[Remark]:
    """Yield where the validation images are not those that the task has."""
    if (tuning := record.tuning) is None:
        return
    stated = tuning.validation
    per_class = tuning.budget.protocol.per_class
    if per_class != record.protocol.per_class and stated.source != OWN:
        return  # the trials trained on another split than the run did
    try:
        _, found = trial_data(data, record.task.split_seed, per_class)
    except UserError as problem:
        yield error("tuning.validation", str(problem))
        return
    expected = {"source": found.source, "counts": list(found.counts), "sha256": found.sha256}
    for name, value in stated.as_dict().items():
        if name in expected and value != expected[name]:
            yield error(f"tuning.validation.{name}", f"must be {expected[name]!r:.60} as the task has it, got {value!r:.60}")


def _values(trial: Trial, space: dict[str, Range], place: str) -> Iterator[Remark]:
    if trial.values.keys() != space.keys():
        yield error(f"{place}.values", f"must be of {', '.join(space)}, got {', '.join(trial.values)!r:.80}")
        return
    for name, value in trial.values.items():
        if value not in space[name]:
            yield error(f"{place}.values.{name}", f"must be in {space[name]}, got {value!r:.40}")
    if (trial.score is None) != (trial.status == "refused"):
        yield error(f"{place}.score", f"must be given for a {trial.status} trial" if trial.score is None
                    else "must be null for values that a method refused")


def _chosen(record: Record, values: dict[str, Any]) -> Iterator[Remark]:
    """Demand that the run has the values that were chosen, where the expression as tuned did not set them."""
    found: dict[str, list[Any]] = {}
    for stage in record.stages:
        for method in stage.methods:
            for key, value in method.hyperparameters.items():
                found.setdefault(f"{method.name}.{key}", []).append(value)
    for name, value in values.items():
        if value not in found.get(name, []):
            yield error(f"tuning.trials.values.{name}", f"must be a value that the run has, got {value!r:.40}")
