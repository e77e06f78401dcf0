"""What the kit brings of its own: two methods to compose others with, and a network to compare processes on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ltbench.hookspecs import hookimpl
from ltbench.method import Facts, Method, Seen, Step
from ltbench.specs import BackboneSpec, MethodSpec
from ltbench.testing.backbone import NAME
from ltbench.training.context import Context

OBSERVER = "conformance_observer"
CLASSIFIER = "conformance_classifier"


class Observer(Method):
    """Own nothing and watch: it must fit into any stack."""

    name = OBSERVER
    stages = frozenset({1, 2})
    trains = False

    steps: Tensor
    samples: Tensor
    outputs: Tensor

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        for name in ("steps", "samples", "outputs"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    def extra_losses(self, ctx: Context, step: Step) -> Mapping[str, Tensor]:
        """Add nothing, in a way that shows whether outputs and labels belong together."""
        if len(step.output.logits) == len(step.output.features) == len(step.batch.labels):
            self.outputs += len(step.batch.labels)
        return {"observed": 0.0 * step.output.logits.float().sum()}

    def after_step(self, ctx: Context, seen: Seen) -> None:
        """Count steps, and the samples whose features and labels arrived."""
        self.steps += 1
        if len(seen.features) == len(seen.labels) == len(seen.indices):
            self.samples += len(seen.labels)


class Classifier(Method):
    """Train a linear classifier on the stage before."""

    name = CLASSIFIER
    stages = frozenset({2})
    inputs = "features"


@hookimpl
def ltbench_methods() -> list[MethodSpec]:
    """Return both."""
    return [
        MethodSpec(OBSERVER, "ltbench.testing.probes:Observer", "watches", frozenset({1, 2})),
        MethodSpec(CLASSIFIER, "ltbench.testing.probes:Classifier", "a linear classifier", frozenset({2})),
    ]


@hookimpl
def ltbench_backbones() -> list[BackboneSpec]:
    """Return the network."""
    return [BackboneSpec(NAME, "ltbench.testing.backbone:build", "features of an image do not depend on its batch")]
