"""Post-hoc logit adjustment (Menon et al., 2021, eq. 9)."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

import ltbench


class PostHocLogitAdjustment(ltbench.Method):
    """Train as the rest of the stack does; at evaluation, subtract the log class prior from the logits.

    Args:
        tau: Strength of the shift; 0 changes nothing.
    """

    name = "post_la"
    stages = frozenset({1, 2})
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 3.0)] = 1.0) -> None:
        super().__init__(facts)
        self.register_buffer("shift", (tau * facts.log_prior).float())  # (C,)

    def adjust_logits(self, ctx: ltbench.Context, logits: Tensor) -> Tensor:
        """Return the shifted logits, shape (B, C)."""
        return logits - self.shift
