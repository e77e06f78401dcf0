"""The paper track: what the papers of an expression's methods say about its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltbench import hyperparameters
from ltbench.errors import UserError
from ltbench.expression import Choice, Expression, choose, order_stage, parse, resolve
from ltbench.registry import Registry
from ltbench.task import Task


@dataclass(frozen=True)
class PaperStage:
    """Hold a stage as its papers run it.

    Args:
        choices: In canonical order, companions included.
        protocol: Changes to the dataset's common protocol.
    """

    choices: tuple[Choice, ...]
    protocol: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The stage as written in an expression."""
        return "+".join(str(choice) for choice in self.choices)


def apply_papers(text: str, task: Task, registry: Registry, settings: Mapping[str, Mapping[str, Any]]) -> list[PaperStage]:
    """Add what the papers of an expression's methods say: hyperparameters, companions, protocols, the stage below.

    What the user typed stays as typed.

    Args:
        text: The expression.
        task: The task.
        registry: Where names are looked up.
        settings: Hyperparameters from ``--set``.

    Raises:
        UserError: If no method states a setting for the task, or two disagree.
    """
    expression = resolve(text, registry, settings)
    implied = len(expression.stages) - len(parse(text))
    if implied:  # the first stage typed is a later one: it stands on what its own paper says
        below = next((setting.stage1 for choice in expression.stages[implied] if (setting := choice.method.paper(task))), None)
        expression = resolve(text, registry, settings, stage1=below)
    if not any(choice.method.paper(task) for stage in expression.stages for choice in stage):
        raise UserError(f"no method of {Expression(expression.stages)} states a paper setting for {task}; use --track common")
    return [_stage(stage, number, task, registry) for number, stage in enumerate(expression.stages, start=1)]


def _stage(stage: Sequence[Choice], number: int, task: Task, registry: Registry) -> PaperStage:
    names = {choice.method.name for choice in stage}
    companions = [name for choice in stage if (setting := choice.method.paper(task)) for name in setting.companions]
    joined = [*stage, *(choose(name, registry) for name in dict.fromkeys(companions) if name not in names)]
    protocol: dict[str, Any] = {}
    for choice in joined:
        setting = choice.method.paper(task)
        for name, value in (setting.protocol if setting else {}).items():
            if protocol.setdefault(name, value) != value:
                everybody = "+".join(other.method.name for other in joined)
                raise UserError(f"the papers of {everybody} disagree on {name}: {protocol[name]} and {value} "
                                f"({choice.method.name})")
    return PaperStage(order_stage([_as_in_its_paper(choice, task) for choice in joined], number), protocol)


def _as_in_its_paper(choice: Choice, task: Task) -> Choice:
    setting = choice.method.paper(task)
    own = {name: value for name, value in (setting.hyperparameters if setting else {}).items() if name not in choice.given}
    typed = {name: choice.values[name] for name in choice.given}
    return Choice(choice.entry, choice.method, hyperparameters.resolve(choice.method, {**own, **typed}), choice.given)
