"""A module that follows another one: the momentum encoder of contrastive methods, the mean teacher of distillation."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor, nn

Statistics = Literal["own", "followed"]


class MovingAverage(nn.Module):
    """Be a copy of a module whose weights are an exponential moving average of the module's.

    Methods get one from :meth:`ltbench.Context.ema_of` in ``setup`` and keep it as an attribute, so that it is saved and restored
    with them. It is updated after every optimizer step, once a global batch, before ``after_step``; no gradient reaches it.

    Args:
        source: The module that is followed.
        momentum: m of w <- m w + (1 - m) source; a method may change the attribute in ``start_epoch``.
        statistics: Of batch norm. ``own``: the copy trains as the module does, on the statistics of the images that it sees.
            ``followed``: it stays in evaluation mode, and its running statistics are averaged as weights are.

    Attributes:
        module: The copy.
    """

    def __init__(self, source: nn.Module, momentum: float, statistics: Statistics = "own") -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1], got {momentum}")
        if statistics not in ("own", "followed"):
            raise ValueError(f"statistics must be one of own, followed, got {statistics!r}")
        self.momentum = momentum
        self.statistics = statistics
        self.module = copy.deepcopy(source).requires_grad_(False)
        self._source = (source,)  # in a tuple, so that it is no part of this module
        self.train(source.training)

    def forward(self, *inputs: Any) -> Any:
        """Return what the copy makes of its inputs; no gradient goes through it."""
        with torch.no_grad():
            return self.module(*inputs)

    def train(self, mode: bool = True) -> MovingAverage:
        """Set the mode; a copy whose statistics follow stays in evaluation mode."""
        super().train(mode and self.statistics == "own")
        return self

    @torch.no_grad()
    def restart(self) -> None:
        """Make the copy equal to the module: where a stage begins, after ``fit`` may have changed it."""
        self.module.load_state_dict(self._source[0].state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Move the copy by one step."""
        slow: list[Tensor] = list(self.module.parameters())
        fast: list[Tensor] = list(self._source[0].parameters())
        if self.statistics == "followed":
            for mine, theirs in zip(self.module.buffers(), self._source[0].buffers(), strict=True):
                if mine.is_floating_point():
                    slow.append(mine)
                    fast.append(theirs)
                else:
                    mine.copy_(theirs)
        if slow:  # a few kernels for all: one each would take as long as the optimizer's step
            torch._foreach_lerp_(slow, fast, 1 - self.momentum)


def averages_in(module: nn.Module) -> list[MovingAverage]:
    """Return the moving averages among a module's parts."""
    return [part for part in module.modules() if isinstance(part, MovingAverage)]
