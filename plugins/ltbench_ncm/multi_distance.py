"""Distance to the nearest of several centroids a class that share their displacements (Learned NCM paper, eq. 10).

|x - (c + d)|^2 = |x - c|^2 + (-2 x d) + (2 c d + |d|^2): a (B, C) product that no displacement enters, and two small ones,
(B, K) and (C, K). The smallest sum is kept in (B, C) while K passes by: a (B, C, K) tensor never exists, let alone one with D.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import ltbench


class _NearestDisplaced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, c: Tensor, displacements: Tensor) -> Tensor:
        squared = ltbench.pairwise_squared_distance(x, c)  # (B, C)
        middle = c.mean(dim=0)  # a distance does not depend on the origin; products lose fewer digits around it
        x, c = x - middle, c - middle
        by_x = -2 * (x @ displacements.T)  # (B, K)
        by_c = 2 * (c @ displacements.T) + displacements.square().sum(dim=1)  # (C, K)
        gain = torch.zeros_like(squared)  # of the null displacement
        nearest = torch.zeros(squared.shape, dtype=torch.int16, device=x.device)  # 0: null; k: the k-th, from 1
        for k in range(len(displacements)):
            other = by_x[:, k, None] + by_c[:, k]
            closer = other < gain
            gain = torch.where(closer, other, gain)
            nearest.masked_fill_(closer, k + 1)
        # What is smaller than the rounding of its terms is 0, where the root has no slope.
        scale = x.square().sum(dim=1, keepdim=True) + c.square().sum(dim=1) + gain.abs()
        noise = torch.finfo(x.dtype).eps * max(8.0, math.sqrt(x.shape[1]))
        total = squared + gain
        distance = total.masked_fill_(total <= noise * scale, 0).sqrt_()
        ctx.save_for_backward(x, c, displacements, distance, nearest)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, c, displacements, distance, nearest = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            # The slope of pair (b, y) in the difference x - c - d is that difference over its length.
            weight = (gradient / distance).masked_fill_(distance == 0, 0)  # (B, C)
            by_row, by_column = [], []
            for k in range(1, len(displacements) + 1):
                chosen = weight * (nearest == k)
                by_row.append(chosen.sum(dim=1))
                by_column.append(chosen.sum(dim=0))
            rows, columns = torch.stack(by_row, dim=1), torch.stack(by_column, dim=1)  # (B, K), (C, K)
            to_x = to_c = to_d = None
            if ctx.needs_input_grad[0]:
                to_x = x * weight.sum(dim=1, keepdim=True) - weight @ c - rows @ displacements
            if ctx.needs_input_grad[1]:
                to_c = c * weight.sum(dim=0)[:, None] - weight.T @ x + columns @ displacements
            if ctx.needs_input_grad[2]:
                to_d = displacements * rows.sum(dim=0)[:, None] - rows.T @ x + columns.T @ c
        return to_x, to_c, to_d


def nearest_displaced_distance(x: Tensor, c: Tensor, displacements: Tensor) -> Tensor:
    """Return min over k of |x_b - c_y - d_k|, the null displacement included, shape (B, C); it can be differentiated once.

    Where two centroids of a class are equally near, the null one takes the gradient, then the first; at distance 0 it is 0.

    Args:
        x: Features, shape (B, D).
        c: One centroid a class, shape (C, D).
        displacements: Shared by all classes, without the null one, shape (K, D).
    """
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.promote_types(torch.promote_types(x.dtype, c.dtype), torch.float32)
        distance: Tensor = _NearestDisplaced.apply(x.to(dtype), c.to(dtype), displacements.to(dtype))
    return distance
