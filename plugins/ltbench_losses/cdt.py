"""Class-dependent temperatures (Ye et al., 2020)."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench_losses import setting
from ltbench_losses.vs import relative_size


class ClassDependentTemperatures(ltbench.Method):
    """Divide logits in training by temperatures that rise as classes get smaller; predict on the plain ones.

    Features of a small class's test images lie nearer to the origin, seen from its weight vector, than those of its training
    images. In training the temperature imitates that, so the network learns larger logits for such a class.

    Args:
        gamma: Of the temperatures (n_max / n_k)^gamma; 0 is plain cross-entropy.
    """

    name = "cdt"
    stages = frozenset({1, 2})
    factor: Tensor

    def __init__(self, facts: ltbench.Facts, *, gamma: Annotated[ltbench.NonNegative, ltbench.Uniform(0.0, 0.4)] = 0.2) -> None:
        super().__init__(facts)
        self.register_buffer("factor", relative_size(facts, gamma))  # 1 / a_k, (C,)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the terms on CIFAR of the codes that this loss was public in."""
        return setting.on_cifar(task)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of z_k / a_k, shape (B,)."""
        logits = logits.to(torch.promote_types(logits.dtype, self.factor.dtype))
        return F.cross_entropy(logits * self.factor, labels, reduction="none")
