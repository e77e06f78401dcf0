"""How many operations a model takes: counted, so that no machine and no neighbor matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def count_operations(function: Callable[[Tensor], object], images: Tensor) -> int:
    """Return how many operations the products and convolutions of a function take: two for each multiplication and addition.

    Args:
        function: Of the images, without any state that training would change.
        images: Shape (B, channels, height, width).
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        function(images)
    return int(counter.get_total_flops())
