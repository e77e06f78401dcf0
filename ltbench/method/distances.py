"""Distances between features and prototypes, each one matrix product: never a (B, C, D) temporary."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_SHORT = 0.01  # of the prototypes' mean length: the cosine of a shorter vector goes to 0 with it
_ROWS = 1024  # prototypes at a time on a processor, 8 MB at D = 2,048


def _rounding(features: int, dtype: torch.dtype) -> float:
    """Return the error of ||x||^2 - 2 x c + ||c||^2 relative to ||x||^2 + ||c||^2; what is smaller says nothing of a distance.

    Measured over coincident random points, in machine epsilons: at most 4.1 in float32 up to D = 4,096; in float64 3.9 at
    D = 64, 10 at 512 and 28 at 4,096.
    """
    return torch.finfo(dtype).eps * max(8.0, math.sqrt(features))


def _full_precision(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Check shapes and return both in their common type, at least float32: in half precision the expansion cancels away."""
    if x.dim() != 2 or c.dim() != 2 or x.shape[1] != c.shape[1]:
        raise ValueError(f"x and c must have shapes (B, D) and (C, D), got {tuple(x.shape)} and {tuple(c.shape)}")
    dtype = torch.promote_types(torch.promote_types(x.dtype, c.dtype), torch.float32)
    return x.to(dtype), c.to(dtype)


def _centered(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Move both so that the mean prototype is the origin: near points far from it would lose every digit in the expansion.

    A distance does not depend on the origin, so no gradient need go through it.
    """
    center = c.detach().mean(dim=0)
    return x - center, c - center


def _parts(c: Tensor) -> list[slice]:
    """Return the rows of prototypes to work on at once.

    On a processor parts stay in its cache: fresh memory for a (C, D) temporary costs six times the arithmetic on it (74 against
    12 ms at C = 8,142, D = 2,048). Elsewhere one large product is better than several.
    """
    rows = _ROWS if c.device.type == "cpu" else max(1, len(c))
    return [slice(start, start + rows) for start in range(0, len(c), rows)]


def _expand(x: Tensor, c: Tensor, root: bool) -> Tensor:
    """Return squared distances or their roots, shape (B, C), without a temporary of all prototypes."""
    center = c.mean(dim=0)
    x = x - center
    own = x.square().sum(dim=1, keepdim=True)
    found = x.new_empty(x.shape[0], c.shape[0])  # where a graph is recorded, len would fix the number of images
    for part in _parts(c):
        rows = c[part] - center
        norms = own + rows.square().sum(dim=1)  # (B, C')
        squared = torch.addmm(norms, x, rows.T, alpha=-2)
        if root:
            squared = squared.masked_fill_(squared <= norms.mul_(_rounding(x.shape[1], x.dtype)), 0).sqrt_()
        found[:, part] = squared.clamp_min_(0)
    return found


def _pull(x: Tensor, c: Tensor, share: Callable[[slice], Tensor],
          needed: tuple[bool, ...]) -> tuple[Tensor | None, Tensor | None]:
    """Return the sums of w (x_b - c_k) over prototypes, shape (B, D), and of w (c_k - x_b) over features, shape (C, D).

    One product for each side; what is not needed is None.

    Args:
        x: Features, shape (B, D).
        c: Prototypes, shape (C, D).
        share: Part of the prototypes -> w for it, shape (B, C').
        needed: Whether each of the two is.
    """
    center = c.mean(dim=0)
    x = x - center
    total, products = x.new_zeros(len(x), 1), torch.zeros_like(x)
    by_c = torch.empty_like(c) if needed[1] else None
    for part in _parts(c):
        rows, weight = c[part] - center, share(part)
        if needed[0]:
            total += weight.sum(dim=1, keepdim=True)
            products.addmm_(weight, rows)
        if by_c is not None:
            torch.mul(rows, weight.sum(dim=0).unsqueeze(1), out=by_c[part]).addmm_(weight.T, x, alpha=-1)
    return x * total - products if needed[0] else None, by_c


class _Squared(torch.autograd.Function):
    """The squared distance; its gradient is written out, for the passes over (C, D) that autograd would add to the products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(x, c)
        return _expand(x, c, root=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, c = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            if torch.is_grad_enabled():  # somebody differentiates the gradient: it must be made of what autograd knows
                x, c = _centered(x, c)
                weight = 2 * gradient
                return x * weight.sum(dim=1, keepdim=True) - weight @ c, c * weight.sum(dim=0).unsqueeze(1) - weight.T @ x
            return _pull(x, c, lambda part: 2 * gradient[:, part], ctx.needs_input_grad)


class _Euclidean(torch.autograd.Function):
    """The distance, with a gradient written out likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, c: Tensor) -> Tensor:
        distance = _expand(x, c, root=True)
        ctx.save_for_backward(x, c, distance)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, c, distance = ctx.saved_tensors

        def share(part: slice) -> Tensor:  # the slope of pair (b, k) is (x_b - c_k) / distance
            slope: Tensor = (gradient[:, part] / distance[:, part]).masked_fill_(distance[:, part] == 0, 0)
            return slope

        with torch.autocast(x.device.type, enabled=False):
            return _pull(x, c, share, ctx.needs_input_grad)


def pairwise_squared_distance(x: Tensor, c: Tensor) -> Tensor:
    """Return ||x_b - c_k||^2, never negative, shape (B, C), in at least float32.

    Args:
        x: Features, shape (B, D).
        c: Prototypes, shape (C, D).
    """
    with torch.autocast(x.device.type, enabled=False):
        squared: Tensor = _Squared.apply(*_full_precision(x, c))
    return squared


def euclidean_distance(x: Tensor, c: Tensor) -> Tensor:
    """Return ||x_b - c_k||, shape (B, C), in at least float32; it can be differentiated once.

    The square root has an infinite slope at 0. A distance that rounding cannot tell from 0 is 0 here and has gradient 0: its
    direction would be noise, and the noise unbounded.

    Args:
        x: Features, shape (B, D).
        c: Prototypes, shape (C, D).
    """
    with torch.autocast(x.device.type, enabled=False):
        distance: Tensor = _Euclidean.apply(*_full_precision(x, c))
    return distance


def cosine_distance(x: Tensor, c: Tensor) -> Tensor:
    """Return 1 - cos(x_b, c_k), from 0 to 2, shape (B, C), in at least float32.

    The slope of a direction grows as the vector shrinks, without bound: one step on a short prototype would throw it out of
    sight. So cosines of a vector shorter than a hundredth of the prototypes' mean length fall in proportion to its own, to 0 at
    the origin, from where it can come back.

    Args:
        x: Features, shape (B, D).
        c: Prototypes, shape (C, D).
    """
    # For unit vectors ||x - c||^2 = 2 - 2 cos; half of it keeps small angles that 1 - cos rounds away.
    with torch.autocast(x.device.type, enabled=False):
        x, c = _full_precision(x, c)
        length = c.detach().norm(dim=1).mean() if len(c) else c.new_zeros(())
        short = _SHORT * length.masked_fill(length == 0, 1)
        (x, lacks_x), (c, lacks_c) = _direction(x, short), _direction(c, short)
        return 0.5 * (pairwise_squared_distance(x, c) + (lacks_x + lacks_c.T))


def _direction(rows: Tensor, short: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows at length 1, shorter ones over ``short``, and what their squares lack of 1, as a column: exactly 0 for most."""
    lacking = (1 - (rows / short).square().sum(dim=1, keepdim=True)).clamp_min(0)
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(short), lacking
