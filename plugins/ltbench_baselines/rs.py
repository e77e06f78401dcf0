"""Re-sampling: class-balanced draws from the first epoch on (a baseline of Cao et al., 2019, section 4, and of many before)."""

from __future__ import annotations

from collections.abc import Mapping

import ltbench


class ClassBalancedSampling(ltbench.Method):
    """Draw a class first, all alike, then an image of it."""

    name = "rs"
    stages = frozenset({1, 2})

    def streams(self, ctx: ltbench.Context) -> Mapping[str, ltbench.Sampler]:
        """Return the class-balanced stream."""
        return {"main": ltbench.ClassBalanced()}
