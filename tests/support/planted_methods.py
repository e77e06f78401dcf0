"""Methods that are each wrong in one way, for the conformance kit to find."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import ltbench
from tests.support.planted_claims import (
    Averaged,
    Careless,
    Deaf,
    Doubled,
    Endless,
    FractionSearch,
    HalfPrecision,
    Misquoting,
    Nameless,
    OneSided,
    Pairwise,
    PartCounter,
    Stubborn,
    ToldPartCounter,
    Unmixed,
    Verbose,
    WideSearch,
)


class Unseeded(ltbench.Method):
    """Draw from a generator that no seed reaches."""

    name = "planted_unseeded"
    stages = frozenset({1})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().criterion(logits, labels) * (1 + random.random())


class Forgetful(ltbench.Method):
    """Count steps in a plain attribute, which no checkpoint holds, and train by the count."""

    name = "planted_forgetful"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.count = 0

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().criterion(logits, labels) * (1 + self.count)

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        self.count += 1


class ForgetfulPredictor(ltbench.Method):
    """Keep class means in a plain attribute and predict by them."""

    name = "planted_forgetful_predictor"
    stages = frozenset({2})
    trains = False

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.means = torch.zeros(facts.num_classes, facts.feature_dim)

    def fit(self, ctx: ltbench.Context) -> None:
        bank = ctx.features("train")
        self.means = ltbench.class_means(bank.embedding, bank.labels, ctx.facts.num_classes)

    def predict(self, ctx: ltbench.Context, output: ltbench.Output) -> Tensor:
        return output.embedding @ self.means.T


class NotANumber(ltbench.Method):
    """Divide zero by zero."""

    name = "planted_nan"
    stages = frozenset({1})

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().criterion(logits, labels) * (torch.zeros(()) / 0)


class VarianceOfOne(ltbench.Method):
    """Weight classes by something with n - 1 below the line."""

    name = "planted_one_image"
    stages = frozenset({1})

    def class_weights(self, ctx: ltbench.Context) -> Tensor:
        return 1 / (ctx.class_counts - 1)


class BetweenClasses(ltbench.Method):
    """Take the variance over the classes of a batch."""

    name = "planted_one_class"
    stages = frozenset({1})

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        labels = step.batch.labels
        means = torch.stack([step.output.features[labels == label].mean(0) for label in labels.unique()])
        return {"spread": (means - means.mean(0)).square().sum() / (len(means) - 1)}


class LocalMean(ltbench.Method):
    """Keep a running mean of what one process alone sees."""

    name = "planted_local_mean"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("mean", torch.zeros(facts.num_classes))

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        self.get_buffer("mean").copy_(step.output.logits.detach().mean(0))
        return {}


class HalfTheRows(ltbench.Method):
    """Return features for every other image, and the labels of all."""

    name = "planted_mismatch"
    stages = frozenset({1})

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        step = ctx.default_step(batches["main"])
        output = ltbench.Output(step.output.embedding, step.output.features[::2], step.output.logits)
        return ltbench.Step(step.loss, output, step.batch)


class Misdescribed(ltbench.Method):
    """Fit a later stage, where the spec says the first."""

    name = "planted_misdescribed"
    stages = frozenset({2})


class Positional(ltbench.Method):
    """Take ``tau`` by position."""

    name = "planted_positional"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, tau: float = 1.0) -> None:
        super().__init__(facts)
        self.tau = tau


class Unconvertible(ltbench.Method):
    """Take any sequence as its ``table``, which nobody can type in a shell."""

    name = "planted_unconvertible"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, table: Sequence[str] = ()) -> None:
        super().__init__(facts)
        self.table = table


class Unplannable(ltbench.Method):
    """State a paper setting in which the optimizer does not exist."""

    name = "planted_unplannable"
    stages = frozenset({1})

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        magic = task.dataset == "cifar100-lt" and task.imbalance_ratio == 50
        return ltbench.PaperSetting(protocol={"optimizer": "magic"}) if magic else None


class Busybody(ltbench.Method):
    """Count how often it measures."""

    name = "planted_busybody"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.register_buffer("count", torch.zeros(()))

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        self.get_buffer("count").add_(1)
        return {"nothing": 0.0}


class Gambler(ltbench.Method):
    """Measure something random."""

    name = "planted_gambler"
    stages = frozenset({1})

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        return {"luck": float(torch.rand((), generator=ctx.generator))}


class Reminiscent(ltbench.Method):
    """Measure by how much the classifier moved since it was last asked."""

    name = "planted_reminiscent"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.last = 0.0

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        now = float(sum(p.square().sum() for p in ctx.engine.head.parameters()))
        moved, self.last = now - self.last, now
        return {"moved": moved}


class Third(ltbench.Method):
    """Stand on another later stage, and refuse any other place."""

    name = "planted_third"
    stages = frozenset({2})
    below = "crt"

    def setup(self, ctx: ltbench.Context) -> None:
        if ctx.stage != 3 or ctx.previous is None or "crt" not in ctx.previous.methods:
            raise ltbench.UserError("planted_third must stand on crt")


class Rootless(ltbench.Method):
    """Stand on a method that does not exist."""

    name = "planted_rootless"
    stages = frozenset({2})
    below = "no_such_method"


METHODS = (Unseeded, Forgetful, ForgetfulPredictor, NotANumber, VarianceOfOne, BetweenClasses, LocalMean, HalfTheRows,
           Misdescribed, Positional, Unconvertible, Unplannable, Busybody, Gambler, Reminiscent, Third, Rootless, Doubled,
           Averaged, HalfPrecision, Stubborn, Careless, Nameless, Pairwise, Endless, Verbose,
           WideSearch, FractionSearch, Misquoting, Deaf, Unmixed, PartCounter, ToldPartCounter, OneSided)


@ltbench.hookimpl
def ltbench_methods() -> list[ltbench.MethodSpec]:
    return [ltbench.MethodSpec(kind.name, f"{kind.__module__}:{kind.__name__}", "wrong on purpose",
                               frozenset({1}) if kind is Misdescribed else kind.stages,
                               {Verbose: "A,\n2020", Misquoting: "A, 2020"}.get(kind, ""), per_part=kind.per_part)
            for kind in METHODS]
