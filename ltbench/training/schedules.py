"""Learning-rate schedules as functions of the step: nothing to save, nothing to restore wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable

from ltbench.terms.protocol import Protocol

Schedule = Callable[[int], float]

# Where one-cycle starts and ends, as fractions of its peak: the usual values (Smith & Topin, 2019).
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4 / 25


def schedule(name: str, total: int, *, warmup: float = 0.0, milestones: tuple[float, ...] = (), gamma: float = 0.1) -> Schedule:
    """Return the factor on the peak learning rate at each step.

    Args:
        total: Steps of the whole training.
        warmup: Fraction of them with a growing rate.
        milestones: Fractions at which ``step`` decays.
    """
    rising = round(warmup * total)

    def factor(step: int) -> float:
        if step < rising:
            if name == "one_cycle":
                return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * _ease(step / rising)
            return (step + 1) / rising
        if name == "constant":
            return 1.0
        if name == "step":
            return gamma ** sum(step >= round(milestone * total) for milestone in milestones)
        progress = (step - rising) / max(1, total - rising)
        if name == "one_cycle":
            return 1 - (1 - ONE_CYCLE_END) * _ease(progress)
        return 1 - _ease(progress)

    return factor


def _ease(progress: float) -> float:
    """Go from 0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * progress)) / 2


def for_stage(protocol: Protocol, stage: int, total: int) -> Schedule:
    """Return the schedule that a protocol names for a stage."""
    if stage == 1:
        return schedule(protocol.schedule, total, warmup=protocol.warmup, milestones=protocol.milestones, gamma=protocol.gamma)
    return schedule(protocol.stage2_schedule, total, milestones=protocol.milestones, gamma=protocol.gamma)
