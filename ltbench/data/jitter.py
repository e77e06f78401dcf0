"""Color jitter of whole batches: brightness, contrast and saturation by random factors, in random order."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from ltbench.data import photometric
from ltbench.data.arrays import Floats

DRAWS = 4
STRENGTH = 0.4
_OPERATIONS = (photometric.brightness, photometric.contrast, photometric.color)
_ORDERS = np.array(list(itertools.permutations(range(len(_OPERATIONS)))))


def jitter(images: Tensor, uniforms: Floats) -> Tensor:
    """Change colors as torchvision's ``ColorJitter(.4, .4, .4, 0)`` does on Pillow images.

    Args:
        uniforms: In [0, 1): three factors and the order, shape (B, 4).
    """
    factors = torch.from_numpy((1 - STRENGTH + 2 * STRENGTH * uniforms[:, :-1]).astype(np.float32))  # (B, 3)
    factors = factors.to(images.device, non_blocking=True)
    orders = _ORDERS[(uniforms[:, -1] * len(_ORDERS)).astype(np.int64)]  # (B, 3)
    result = images.clone()
    for place in range(len(_OPERATIONS)):
        for number, operation in enumerate(_OPERATIONS):
            chosen = np.flatnonzero(orders[:, place] == number)
            if not len(chosen):
                continue
            rows = torch.from_numpy(chosen).to(images.device, non_blocking=True)
            result[rows] = operation(result[rows], factors[rows, number])
    return result
