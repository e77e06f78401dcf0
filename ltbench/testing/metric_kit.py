"""The checks of a metric, by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ltbench.method.context import Bank
from ltbench.registry.specs import MetricSpec
from ltbench.results.geometry import stage_tensors
from ltbench.testing import scene
from ltbench.testing.checks import Check
from ltbench.testing.probes import CLASSIFIER
from ltbench.testing.results import Failure, Result, attempt
from ltbench.testing.scene import Scene

STATISTICS = ("class_counts", "class_means", "class_variance")  # which every run keeps


@dataclass
class MetricSubject:
    """Hold one registered metric, and what runs keep.

    Args:
        kept: What a first and a later stage keep, by expression.
    """

    spec: MetricSpec
    compute: Callable[[Mapping[str, Tensor]], Mapping[str, float]]
    kept: Mapping[str, Mapping[str, Tensor]]

    def figures(self, what: str, tensors: Mapping[str, Tensor]) -> dict[str, float]:
        """Compute, and require numbers by name."""
        found = self.compute(dict(tensors))
        if not isinstance(found, Mapping):
            raise Failure(f"the figures of {what} must be a mapping from names to numbers, got {type(found).__name__}")
        for name, value in found.items():
            if not isinstance(name, str) or not isinstance(value, (int, float)) or isinstance(value, bool):
                raise Failure(f"the figures of {what} must be numbers by name, got {name!r}: {type(value).__name__}")
            if not math.isfinite(value):
                raise Failure(f"{name!r} of {what} must be finite or left out, got {value}")
        return {name: float(value) for name, value in found.items()}


def spec(subject: MetricSubject) -> None:
    """Read what the spec points to: a function of one argument with a docstring."""
    if not callable(subject.compute) or len(inspect.signature(subject.compute).parameters) != 1:
        raise Failure(f"{subject.spec.target} must be a function of the kept tensors alone, got {subject.compute!r}")
    if not (getattr(subject.compute, "__doc__", None) or "").strip():
        raise Failure(f"{subject.spec.target} must have a docstring")
    if not subject.spec.summary.strip() or "\n" in subject.spec.summary:
        raise Failure(f"the spec's summary must be one line, got {subject.spec.summary!r}")


def numbers(subject: MetricSubject) -> str:
    """Compute the figures of real runs: finite, the same twice, and nothing that was kept is changed."""
    told = []
    for what, tensors in subject.kept.items():
        before = {name: value.clone() for name, value in tensors.items()}
        first = subject.figures(what, tensors)
        if subject.figures(what, tensors) != first:
            raise Failure(f"the figures of {what} must be the same twice, got others")
        changed = [name for name, value in tensors.items() if not torch.equal(value, before[name])]
        if changed:
            raise Failure(f"what {what} keeps must stay as it is, got a changed {changed[0]}")
        told += [f"{name} {value:.4g} of {what}" for name, value in first.items()]
    if not told:
        raise Failure("a metric must have a figure for some run, got none for a first and none for a later stage")
    return ", ".join(told[:4])


def missing(subject: MetricSubject) -> None:
    """Leave tensors of the head and the methods out: figures that need them must be left out, not raise."""
    for what, tensors in subject.kept.items():
        optional = [name for name in tensors if name not in STATISTICS]
        for name in optional:
            subject.figures(f"{what} without {name}", {key: value for key, value in tensors.items() if key != name})
        subject.figures(f"{what} without head and methods", {name: tensors[name] for name in STATISTICS})


def empty_class(subject: MetricSubject) -> None:
    """Leave one class, and all classes but one, without images: as a test of many classes does."""
    for what, tensors in subject.kept.items():
        classes = len(tensors["class_counts"])
        for empty in ([classes - 1], list(range(1, classes))):
            changed = {name: value.clone() for name, value in tensors.items()}
            for name in STATISTICS:
                changed[name][empty] = 0
            subject.figures(f"{what} with {len(empty)} empty classes", changed)


CHECKS = {
    "spec": Check(spec, "let the MetricSpec point to a function that takes a mapping of tensors and has a docstring"),
    "numbers": Check(numbers, "return float(...) by name, from copies, and leave out what is not finite"),
    "missing": Check(missing, "ask with geometry.get(name), and leave the figure out where it is None"),
    "empty_class": Check(empty_class, "take the classes with class_counts > 0; return {} where a figure needs more of them"),
}


def check_metric(name: str, *, plugins: tuple[str, ...] = (), only: Collection[str] = tuple(CHECKS)) -> list[Result]:
    """Run every check on one metric, without pytest."""
    registry = scene.installed(plugins)
    entry = registry.metrics.get(name)
    base = registry.base_method
    runs = {text: kept(Scene(registry), text) for text in (base, f"{base}/{CLASSIFIER}")}
    subject = MetricSubject(entry.spec, entry.load(), runs)
    return [attempt(name, check, one.mend, partial(one.run, subject)) for check, one in CHECKS.items() if check in only]


def kept(place: Scene, text: str) -> dict[str, Any]:
    """Return what an expression's last stage keeps, by the names within the stage."""
    with scene.scratch() as folder:
        engine = place.train(text, folder).engine
        bank: Bank = engine.ctx.features("train")
        return {name.removeprefix("stage1."): value for name, value in stage_tensors(engine, bank, 1).items()}
