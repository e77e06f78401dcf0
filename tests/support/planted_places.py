"""Methods that are right on a CPU and wrong on any other device: each in one slot, in one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

import ltbench


class Misplaced(ltbench.Method):
    """Call a fault with a tensor of the device, in one slot; change nothing.

    Attributes:
        fault: What it is called with: the method and a tensor, shape (n,) or (n, d).
    """

    stages = frozenset({1})
    slot: ClassVar[str]
    fault: ClassVar[Callable[[Misplaced, Tensor], object]]

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        self.kept = torch.ones(1)  # where a buffer belongs

    def err(self, slot: str, values: Tensor) -> None:
        if slot == self.slot:
            type(self).fault(self, values)

    def setup(self, ctx: ltbench.Context) -> None:
        self.err("setup", ctx.class_counts)

    def fit(self, ctx: ltbench.Context) -> None:
        self.err("fit", ctx.features("train").embedding)

    def start_epoch(self, ctx: ltbench.Context) -> None:
        self.err("start_epoch", ctx.class_counts)

    def step(self, ctx: ltbench.Context, batches: Mapping[str, ltbench.Batch]) -> ltbench.Step:
        self.err("step", batches["main"].labels)
        return ctx.default_step(batches["main"])

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        self.err("criterion", labels)
        return super().criterion(logits, labels)

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        self.err("class_weights", ctx.class_counts)
        return None

    def extra_losses(self, ctx: ltbench.Context, step: ltbench.Step) -> Mapping[str, Tensor]:
        self.err("extra_losses", step.output.features)
        return {"nothing": Backward.apply(step.output.features, self)}

    def after_step(self, ctx: ltbench.Context, seen: ltbench.Seen) -> None:
        self.err("after_step", seen.features)

    def end_epoch(self, ctx: ltbench.Context) -> None:
        self.err("end_epoch", ctx.class_counts)

    def measure(self, ctx: ltbench.Context) -> Mapping[str, float]:
        self.err("measure", ctx.class_counts)
        return {}

    def predict(self, ctx: ltbench.Context, output: ltbench.Output) -> Tensor:
        self.err("predict", output.logits)
        return super().predict(ctx, output)

    def adjust_logits(self, ctx: ltbench.Context, logits: Tensor) -> Tensor:
        self.err("adjust_logits", logits)
        return logits


class OnDevice(ltbench.Method):
    """Take for granted that a GPU has room for all features."""

    name = "misplaced_bank"
    stages = frozenset({2})
    trains = False

    def fit(self, ctx: ltbench.Context) -> None:
        bank = ctx.features("train")
        bank.embedding[bank.labels == 0].mean()


class Backward(torch.autograd.Function):
    """Add nothing, and err on the way back."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, method: Misplaced) -> Tensor:
        ctx.method, ctx.shape = method, features.shape
        return features.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        whole = gradients[0].expand(ctx.shape) * 0
        ctx.method.err("backward", whole)
        return whole, None


FAULTS: dict[str, Callable[[Misplaced, Tensor], object]] = {
    "unregistered": lambda method, values: values * method.kept,
    "indexed": lambda method, values: values.index_select(0, torch.arange(len(values))),
    "mixed": lambda method, values: values + values.cpu(),
    "counts": lambda method, values: method.facts.class_counts[values.long() * 0],
    "read": lambda method, values: values.detach().numpy(),
    "drawn": lambda method, values: torch.randperm(len(values), generator=torch.Generator(), device=values.device),
}
SLOTS = ("setup", "fit", "start_epoch", "step", "criterion", "class_weights", "extra_losses", "backward", "after_step",
         "end_epoch", "measure", "predict", "adjust_logits")
PLANTED = [f"misplaced_{fault}_{slot}" for slot in SLOTS for fault in FAULTS]
for _name in PLANTED:
    _, _fault, _slot = _name.split("_", 2)
    globals()[_name] = type(_name, (Misplaced,), {"name": _name, "slot": _slot, "fault": FAULTS[_fault], "__module__": __name__})


@ltbench.hookimpl
def ltbench_methods() -> list[ltbench.MethodSpec]:
    kinds: list[type[ltbench.Method]] = [OnDevice, *(globals()[name] for name in PLANTED)]
    return [ltbench.MethodSpec(kind.name, f"{__name__}:{kind.__name__}", "right on a CPU alone", kind.stages) for kind in kinds]
