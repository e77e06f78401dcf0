"""Cross-entropy on instance-balanced samples: what every other method is compared with."""

from __future__ import annotations

import ltbench


class CrossEntropy(ltbench.Method):
    """Change nothing: every slot keeps its default, and any method that owns one takes its place."""

    name = "ce"
    stages = frozenset({1, 2})
