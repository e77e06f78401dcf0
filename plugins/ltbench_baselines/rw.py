"""Re-weighting by inverse class frequency (a baseline of Cao et al., 2019, section 4, and of many before)."""

from __future__ import annotations

from torch import Tensor

import ltbench


class InverseFrequencyWeights(ltbench.Method):
    """Weigh the loss of class k by 1 / n_k, scaled to sum C."""

    name = "rw"
    stages = frozenset({1, 2})
    weights: Tensor

    def __init__(self, facts: ltbench.Facts) -> None:
        super().__init__(facts)
        inverse = 1 / facts.class_counts.double().clamp_min(1)
        self.register_buffer("weights", (inverse * len(inverse) / inverse.sum()).float())  # (C,)

    def class_weights(self, ctx: ltbench.Context) -> Tensor | None:
        """Return the weights, shape (C,)."""
        return self.weights
