"""Distances under a metric of each class's own, in blocks of classes (Learned NCM paper, eqs. 3 and 4, section A.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Elements of the largest temporary, (B, block, r): 64 MiB in float32.
_ELEMENTS = 1 << 24


def in_class_blocks(function: Callable[..., Tensor], x: Tensor, per_class: tuple[Tensor, ...], width: int,
                    elements: int = _ELEMENTS) -> Tensor:
    """Apply a function to blocks of classes and join the results, shape (B, C).

    With more than one block, what a block computes is computed again in the backward pass: memory is that of one block.

    Args:
        function: Takes x and the block's part of each tensor; returns shape (B, block).
        x: Shape (B, D).
        per_class: Tensors whose first dimension is C.
        width: Numbers that the function holds for a pair of a sample and a class.
        elements: Numbers that it may hold at once.
    """
    classes = len(per_class[0])
    block = max(1, elements // max(1, len(x) * width))
    if block >= classes:
        return function(x, *per_class)
    parts = zip(*(torch.split(tensor, block) for tensor in per_class), strict=True)
    return torch.cat([checkpoint(function, x, *part, use_reentrant=False, preserve_rng_state=False) for part in parts], dim=1)


def projected_difference(x: Tensor, centroids: Tensor, maps: Tensor) -> Tensor:
    """Return W_y (x - c_y), shape (B, C, r): one product for all features, and no expansion in which digits are lost.

    Args:
        x: Shape (B, D).
        centroids: Shape (C, D).
        maps: W, shape (C, r, D).
    """
    classes, rank, features = maps.shape
    of_x = (x @ maps.reshape(-1, features).T).view(len(x), classes, rank)
    return of_x - (maps @ centroids[:, :, None]).squeeze(2)


def local_distance(x: Tensor, centroids: Tensor, maps: Tensor) -> Tensor:
    """Return |W_y (x - c_y)|, shape (B, C); its gradient at 0 is 0.

    Args:
        x: Shape (B, D).
        centroids: Shape (C, D).
        maps: W, shape (C, r, D).
    """
    length: Tensor = torch.linalg.vector_norm(projected_difference(x, centroids, maps), dim=2)
    return length
