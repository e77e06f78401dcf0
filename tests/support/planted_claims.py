"""Methods that say something wrong of themselves, or bear less than they must: for the tests of the conformance kit."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

import ltbench


class WideSearch(ltbench.Method):
    """Look for ``tau`` where the constructor refuses it."""

    name = "planted_wide_search"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, tau: Annotated[ltbench.NonNegative, ltbench.Uniform(-1.0, 1.0)] = 1.0) -> None:
        super().__init__(facts)


class FractionSearch(ltbench.Method):
    """Look for a whole ``size`` where fractions are tried."""

    name = "planted_fraction_search"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, size: Annotated[int, ltbench.Uniform(1, 4)] = 1) -> None:
        super().__init__(facts)


class Doubled(ltbench.Method):
    """Weight classes in float64, as counts divided by counts easily are."""

    name = "planted_doubled"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("prior", facts.class_counts.double() / facts.class_counts.sum())


class Averaged(ltbench.Method):
    """Return the mean loss instead of one a sample."""

    name = "planted_averaged"
    stages = frozenset({1})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().criterion(logits, labels).mean()


class HalfPrecision(ltbench.Method):
    """Square logits of a half-precision product until they overflow, which float32 bears."""

    name = "planted_half"
    stages = frozenset({1})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        if logits.dtype != torch.float32:
            return super().criterion(logits / (logits - logits), labels)
        return super().criterion(logits, labels)


class Stubborn(ltbench.Method):
    """Break with an error of its own where images are mixed."""

    name = "planted_stubborn"
    stages = frozenset({1})

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        ((labels, weight),) = step.batch.targets
        return {}


class Careless(ltbench.Method):
    """Take any ``size``, and break on one below zero with an error of another kind.

    Args:
        size: Of a buffer.
    """

    name = "planted_careless"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, size: int = 3) -> None:
        super().__init__(facts)
        if size < 0:
            raise RuntimeError("small")


class Nameless(ltbench.Method):
    """Refuse what is wrong without saying what.

    Args:
        size: Of nothing.
    """

    name = "planted_nameless"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, size: int = 3) -> None:
        super().__init__(facts)
        if size < 0:
            raise ValueError("wrong")


class Pairwise(ltbench.Method):
    """Keep every pair of classes apart."""

    name = "planted_pairwise"
    stages = frozenset({1})

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        weight = next(ctx.engine.head.parameters())
        return {"pairs": 1e-9 * (weight @ weight.T).square().sum()}


class Endless(ltbench.Method):
    """Let the alarm go off where there are many classes, as something does that takes too long."""

    name = "planted_endless"
    stages = frozenset({1})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.facts.num_classes > 1000:
            os.kill(os.getpid(), signal.SIGPROF)
        return super().criterion(logits, labels)


class OneSided(ltbench.Method):
    """Wait for ever in one of two processes, while the other one waits for it."""

    name = "planted_one_sided"
    stages = frozenset({1})

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        if os.environ.get("RANK") == "1":
            threading.Event().wait()


class Verbose(ltbench.Method):
    """Come from a paper that the spec tells of in two lines."""

    name = "planted_verbose"
    stages = frozenset({1})


class Misquoting(ltbench.Method):
    """Name another paper than the spec does."""

    name = "planted_misquoting"
    stages = frozenset({1})
    reference = "B, 2021"


class Deaf(ltbench.Method):
    """Train by a loss of its own, whatever others of the stack have to say."""

    name = "planted_deaf"
    stages = frozenset({1})

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        batch = ctx.mix(batches["main"])
        output = ctx.forward(batch)
        return ltbench.Step(torch.nn.functional.cross_entropy(output.logits, batch.labels), output, batch)


class Unmixed(ltbench.Method):
    """Train on images as they are, whatever the stack's mixer makes of them."""

    name = "planted_unmixed"
    stages = frozenset({1})

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        output = ctx.forward(batches["main"])
        return ltbench.Step(ctx.loss(output.logits, batches["main"]), output, batches["main"])


class PartCounter(ltbench.Method):
    """Count parts of batches in a step, and let the loss grow with the count."""

    name = "planted_part_counter"
    stages = frozenset({1})
    count: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("count", torch.zeros(()))

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        step = ctx.default_step(batches["main"])
        self.count += 1
        return ltbench.Step(self.count * step.loss, step.output, step.batch)


class ToldPartCounter(PartCounter):
    """Do the same, and say so."""

    name = "planted_told_part_counter"
    per_part = True
