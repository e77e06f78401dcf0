"""What the kit brings of its own: methods to compose others with, and a network to compare processes on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ltbench.data.batch import Batch
from ltbench.method.context import Context
from ltbench.method.contract import Method
from ltbench.method.values import Facts, Seen, Step
from ltbench.registry.hookspecs import hookimpl
from ltbench.registry.specs import BackboneSpec, MethodSpec
from ltbench.testing import backbone

OBSERVER = "conformance_observer"
CLASSIFIER = "conformance_classifier"
MIXER = "conformance_mixer"
LOSS = "conformance_loss"


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


class Counting(Method):
    """Count how often a slot that it owns is used."""

    calls: Tensor

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))


class Mixer(Counting):
    """Own the mixing, and mix nothing."""

    name = MIXER
    stages = frozenset({1, 2})

    def mix(self, ctx: Context, batch: Batch) -> Batch:
        """Return the batch as drawn."""
        self.calls += 1
        return batch


class Loss(Counting):
    """Own the criterion, and leave it as it is."""

    name = LOSS
    stages = frozenset({1, 2})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the usual loss of every sample, shape (B,)."""
        self.calls += 1
        return super().criterion(logits, labels)


@hookimpl
def ltbench_methods() -> list[MethodSpec]:
    """Return all of them."""
    return [
        MethodSpec(OBSERVER, "ltbench.testing.probes:Observer", "watches", frozenset({1, 2})),
        MethodSpec(CLASSIFIER, "ltbench.testing.probes:Classifier", "a linear classifier", frozenset({2})),
        MethodSpec(MIXER, "ltbench.testing.probes:Mixer", "owns the mixing", frozenset({1, 2})),
        MethodSpec(LOSS, "ltbench.testing.probes:Loss", "owns the criterion", frozenset({1, 2})),
    ]


@hookimpl
def ltbench_backbones() -> list[BackboneSpec]:
    """Return the networks."""
    return [BackboneSpec(backbone.NAME, "ltbench.testing.backbone:build", "features of an image do not depend on its batch"),
            BackboneSpec("conformance_transformer", "ltbench.testing.transformer:build", "two blocks of attention")]
