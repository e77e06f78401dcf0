"""The paper track: what the papers of an expression's methods say about its stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.method.contract import Method, PaperSetting
from ltbench.planning.expression import Expression, Member, choose, order_stage, parse, resolve
from ltbench.registry.discovery import Registry
from ltbench.terms.task import Task


@dataclass(frozen=True)
class PaperStage:
    """Hold a stage as its papers run it.

    Args:
        choices: In canonical order, companions included.
        protocol: Changes to the dataset's common protocol.
    """

    choices: tuple[Member, ...]
    protocol: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The stage as written in an expression."""
        return "+".join(str(choice) for choice in self.choices)


def apply_papers(text: str, task: Task, registry: Registry, settings: Mapping[str, Mapping[str, Any]], *,
                 paper: str | None = None, asked: Mapping[str, Any] | None = None,
                 base: Mapping[str, Any] | None = None) -> list[PaperStage]:
    """Add what the papers of an expression's methods say: hyperparameters, companions, protocols, the stage below.

    What the user typed stays as typed.

    Args:
        paper: The method on whose paper's terms every stage is run: for the baselines that a paper ran itself. None where each
            method brings its own.
        asked: Fields that the user wants otherwise, or names though they are so anyway.
        base: The protocol that the papers change, by field; where they say nothing of a field, its value may be asked for.

    Raises:
        UserError: If no method states a setting for the task, two disagree, or a paper has no row for what is asked.
    """
    reference = choose(paper, registry).method if paper else None
    terms = reference.paper(task) if reference else None
    if reference and terms is None:
        raise UserError(f"the paper of {reference.name} states no setting for {task}; use --track common")
    expression = resolve(text, registry, settings)
    implied = len(expression.stages) - len(parse(text))
    if implied:  # the first stage typed is a later one: it stands on what its own paper says
        first = [choice.method for choice in expression.stages[implied]]
        below = terms.stage1 if terms else next((setting.stage1 for _, setting in _settings(first, task)), None)
        expression = resolve(text, registry, settings, stage1=below)
    methods = [[choice.method for choice in stage] for stage in expression.stages]
    stated = [setting for stage in methods for _, setting in _settings(stage, task)]
    if not (stated or terms):
        raise UserError(f"no method of {Expression(expression.stages)} states a paper setting for {task}; use --track common")
    stages: list[PaperStage] = []
    for number, stage in enumerate(expression.stages, start=1):
        choices = _with_companions(stage, task, registry, settings, reference)
        if reference and terms:
            # A paper on later stages says of the first ones how it trains its baselines.
            protocol = dict(terms.stage1_protocol if number == 1 and 1 not in reference.stages else terms.protocol)
        else:
            own = _joined(stage, task)  # companions come to a paper's terms and bring none
            above = (setting for later in methods[1:] for _, setting in _settings(later, task) if setting.stage1_protocol)
            inherited = dict(next(above, PaperSetting()).stage1_protocol) if number == 1 else dict(stages[-1].protocol)
            protocol = inherited if own is None else own
        changes = {} if stages else _alternatives(asked or {}, [terms] if terms else stated, {**(base or {}), **protocol},
                                                  str(Expression(expression.stages)))
        stages.append(PaperStage(order_stage([_as_in_its_paper(choice, task) for choice in choices], number),
                                 {**protocol, **changes}))
    return stages


def _settings(methods: Sequence[type[Method]], task: Task) -> Iterator[tuple[type[Method], PaperSetting]]:
    """Yield the methods whose papers state a setting for the task."""
    for method in methods:
        setting = method.paper(task)
        if setting is not None:
            yield method, setting


def _alternatives(asked: Mapping[str, Any], settings: Sequence[PaperSetting], own: Mapping[str, Any],
                  text: str) -> dict[str, Any]:
    """Return what is asked and is not so anyway, if a paper prints rows for it, with what the paper changes along with it."""
    changes: dict[str, Any] = {}
    for name, value in asked.items():
        if own.get(name) == value:
            continue
        printed = {v: None for setting in settings
                   for v in (setting.protocol.get(name), setting.stage1_protocol.get(name), *setting.alternatives.get(name, ()))
                   if v is not None}
        if value not in printed:
            known = ", ".join(map(str, printed)) or "nothing else than its own"
            raise UserError(f"{name} of {text} must be one that its paper prints rows for ({known}) in the paper track, "
                            f"got {value}")
        for setting in settings:
            along = setting.alternatives.get(name, ())
            changes |= along.get(value, {}) if isinstance(along, Mapping) else {}
        changes[name] = value
    return changes


def _with_companions(stage: Sequence[Member], task: Task, registry: Registry, settings: Mapping[str, Mapping[str, Any]],
                     reference: type[Method] | None) -> list[Member]:
    names = {choice.method.name for choice in stage}
    companions = [name for method, setting in _settings([choice.method for choice in stage], task)
                  if reference is None or method is reference for name in setting.companions]
    return [*stage, *(choose(name, registry, settings) for name in dict.fromkeys(companions) if name not in names)]


def _joined(choices: Sequence[Member], task: Task) -> dict[str, Any] | None:
    """Return the changes that the papers of a stage's methods agree on; None where none says anything."""
    protocol: dict[str, Any] = {}
    stated = list(_settings([choice.method for choice in choices], task))
    brought = {name for _, setting in stated for name in setting.companions}  # companions come on the terms of who brings them
    for method, setting in [(method, setting) for method, setting in stated if method.name not in brought] or stated:
        for name, value in setting.protocol.items():
            if protocol.setdefault(name, value) != value:
                everybody = "+".join(choice.method.name for choice in choices)
                raise UserError(f"the papers of {everybody} disagree on {name}: {protocol[name]} and {value} ({method.name}); "
                                "say with --paper whose terms hold")
    return protocol if stated else None


def _as_in_its_paper(choice: Member, task: Task) -> Member:
    setting = choice.method.paper(task)
    own = {name: value for name, value in (setting.hyperparameters if setting else {}).items() if name not in choice.given}
    typed = {name: choice.values[name] for name in choice.given}
    return Member(choice.entry, choice.method, hyperparameters.resolve(choice.method, {**own, **typed}), choice.given)
