"""Checks of what a method says about itself: its spec, its signature, its hyperparameters."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from ltbench.errors import UserError
from ltbench.method import hyperparameters
from ltbench.method.contract import Method, PaperSetting
from ltbench.method.values import Facts
from ltbench.planning.expression import resolve
from ltbench.planning.plan import plan_run
from ltbench.terms import ranges
from ltbench.terms.protocol import COMMON
from ltbench.terms.task import Task
from ltbench.testing.results import Failure
from ltbench.testing.subject import Subject

_NO_SUCH_NAME = "no_such_hyperparameter"
_NO_SUCH_VALUE = "no such value"
_FAR_OFF = -1e6
_CLASSES = 10
_RATIOS = (10.0, 50.0, 100.0, 200.0)


def spec(subject: Subject) -> None:
    """Compare the spec with the class, and read the class as a user would."""
    registered, method = subject.entry.spec, subject.entry.load()
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise Failure(f"{registered.target} must be a class derived from ltbench.Method, got {method!r}")
    if getattr(method, "name", None) != registered.name:
        raise Failure(f"the class's name must be {registered.name!r}, as in the spec, got {getattr(method, 'name', None)!r}")
    stages = getattr(method, "stages", None)
    if stages != registered.stages:
        raise Failure(f"the class's stages must be {set(registered.stages)}, as in the spec, got {stages}")
    if not (vars(method).get("__doc__") or "").strip():
        raise Failure(f"{method.__name__} must have a docstring of its own")
    if not registered.summary.strip() or "\n" in registered.summary:
        raise Failure(f"the spec's summary must be one line, got {registered.summary!r}")
    if registered.paper != " ".join(registered.paper.split()):
        raise Failure(f"the spec's paper must be one line such as 'Cao et al., 2019', or empty, got {registered.paper!r}")
    if method.reference not in ("", registered.paper):
        raise Failure(f"the class's reference must be {registered.paper!r}, as in the spec, or empty, got {method.reference!r}")
    if method.per_part and not registered.per_part:
        raise Failure("the spec's per_part must be true, as in the class, got false")
    _check_signature(method)
    _check_search(method)
    if method.below is not None:
        if 2 not in stages:
            raise Failure(f"below is for later stages, got {method.below!r} in a method of stages {set(stages)}")
        resolve(method.below, subject.registry)


def paper(subject: Subject) -> None:
    """Plan the method as its paper runs it, on every dataset and at every usual ratio that the paper states a setting for."""
    method = subject.entry.load()
    for entry in subject.registry.datasets.values():
        if entry.spec.is_family:
            continue  # no paper ran on a user's own images
        usual = entry.spec.default_ratio
        for ratio in dict.fromkeys((usual, *_RATIOS)) if usual is not None and usual > 1 else (usual,):
            task = Task(entry.spec.name, ratio, track="paper", protocol=COMMON)
            setting = method.paper(task)
            if setting is not None and not isinstance(setting, PaperSetting):
                raise Failure(f"paper() must return a PaperSetting or None, got {type(setting).__name__}")
            if setting is not None:
                dataset = entry.load()()
                try:
                    plan_run(subject.name, task, dataset.protocols[COMMON], subject.registry, dataset, open_files=False)
                except UserError as error:
                    raise Failure(f"its paper's setting on {task} makes no run: {error}") from error


def _check_signature(method: type[Method]) -> None:
    _, first, *others = inspect.signature(method.__init__).parameters.values()
    if first.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        raise Failure(f"the constructor must take the facts first, got {first}")
    for parameter in others:
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise Failure(f"hyperparameter {parameter.name!r} must be keyword-only, got {parameter.kind.description}")
    explained = "\n".join(vars(kind).get("__doc__") or "" for kind in method.__mro__[:method.__mro__.index(Method)])
    for name in hyperparameters.declared(method):
        if name not in explained:
            raise Failure(f"hyperparameter {name!r} must be explained in the docstring, or in that of a base class")


def _check_search(method: type[Method]) -> None:
    """Demand that a search space is of values that the constructor takes."""
    facts = Facts(torch.tensor([8, 4, 2, 1]), feature_dim=4, epochs=1)
    for name, where in hyperparameters.search_space(method).items():
        for value in where.ends:
            try:
                hyperparameters.build(method, facts, hyperparameters.resolve(method, {name: value}))
            except UserError as error:
                raise Failure(f"the search range of {name!r} holds {value!r}, which is refused: {error}") from error


def refusals(subject: Subject) -> None:
    """Give wrong names, types and ranges, which must be refused by name; and spell every default, which must be understood."""
    method = subject.entry.load()
    _expect_refusal(method, _NO_SUCH_NAME, _NO_SUCH_VALUE)
    for name, (annotation, default) in hyperparameters.declared(method).items():
        if _refusable(annotation):
            _expect_refusal(method, name, _NO_SUCH_VALUE)
        _expect_refusal(method, name, object())
        spelled = hyperparameters.format_value(default)
        understood = hyperparameters.resolve(method, {name: spelled})[name]
        if understood != default:
            raise Failure(f"the default of {name!r} must read back as it is written, got {understood!r} from {spelled!r}")
        if (kind := ranges.bare(annotation)) in (int, float):
            _construct(method, name, kind(_FAR_OFF))


def _construct(method: type[Method], name: str, value: object) -> None:
    """Construct with a number that few hyperparameters bear: what is not borne must be refused by name."""
    facts = Facts(torch.arange(_CLASSES, 0, -1), feature_dim=_CLASSES, epochs=2)
    try:
        method(facts, **hyperparameters.resolve(method, {name: value}))
    except ValueError as error:
        if name not in str(error):
            raise Failure(f"the constructor's refusal of {name}={value} must name it, got {error}") from error
    except Exception as error:
        raise Failure(f"{name}={value} must be refused with a ValueError, got {type(error).__name__}: {error}") from error


def _expect_refusal(method: type[Method], name: str, value: object) -> None:
    try:
        hyperparameters.resolve(method, {name: value})
    except UserError as error:
        if name not in str(error):
            raise Failure(f"a refusal must name {name!r}, got {error}") from error
    else:
        raise Failure(f"{name}={value!r} must be refused, got no error")


def _refusable(annotation: Any) -> bool:
    """Tell whether a nonsensical word can be of a wrong type: anything but free text."""
    return str not in ranges.options(annotation)
