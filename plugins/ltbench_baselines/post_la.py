"""Post-hoc logit adjustment (Menon et al., 2021, eq. 9)."""

from __future__ import annotations

from torch import Tensor

import ltbench


class PostHocLogitAdjustment(ltbench.Method):
    """Train as the rest of the stack does; at evaluation, subtract the log class prior from the logits.

    Args:
        tau: Strength of the shift; 0 changes nothing.
    """

    name = "post_la"
    stages = frozenset({1, 2})
    search = {"tau": ltbench.Uniform(0.0, 3.0)}
    shift: Tensor

    def __init__(self, facts: ltbench.Facts, *, tau: float = 1.0) -> None:
        super().__init__(facts)
        if not tau >= 0:
            raise ValueError(f"tau must be >= 0, got {tau}")
        counts = facts.class_counts.double().clamp_min(1)  # a class without images must not win everywhere
        self.register_buffer("shift", (tau * (counts / counts.sum()).log()).float())  # (C,)

    def adjust_logits(self, ctx: ltbench.Context, logits: Tensor) -> Tensor:
        """Return the shifted logits, shape (B, C)."""
        return logits - self.shift
