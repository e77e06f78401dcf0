"""Von Mises-Fisher distributions on the sphere: concentrations, and the mean of an exponential under them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

CONCENTRATED = 1e5  # the largest concentration: a class of one image has no spread
_BLOCK = 2**19  # numbers of an array that exist at once


def concentrations(lengths: Tensor, dim: int) -> Tensor:
    """Return kappa of each class by the approximation of Banerjee et al. (2005, eq. 4.4): R (d - R^2) / (1 - R^2).

    Args:
        lengths: R, of the mean of vectors of length 1, from 0 to 1, shape (C,).
        dim: d.
    """
    square = lengths.square()
    return (lengths * (dim - square) / (1 - square).clamp_min(1e-12)).clamp(0, CONCENTRATED)


def log_bessel(squares: Tensor, order: float) -> Tensor:
    """Return log(I_order(x) / x^order) for x^2, by the uniform expansion for large orders.

    With four terms (Abramowitz & Stegun, 9.7.7) it is right to 8e-5 at order 3 (d = 8), 3e-8 at 15 and 3e-11 at 63 (d = 128),
    from x = 0 to 1e5. The recurrence of the public code takes 2 order steps, each over all images and classes.

    Args:
        squares: x^2, float64, any shape.
        order: d / 2 - 1, above 0.
    """
    root = (1 + squares / order**2).sqrt()
    t = 1 / root
    s = t * t
    series = 1 + t * (3 - 5 * s) / (24 * order)
    series += s * (81 - 462 * s + 385 * s**2) / (1152 * order**2)
    series += t * s * (30375 - 369603 * s + 765765 * s**2 - 425425 * s**3) / (414720 * order**3)
    series += s**2 * (4465125 - 94121676 * s + 349922430 * s**2 - 446185740 * s**3 + 185910725 * s**4) / (39813120 * order**4)
    return order * (root - torch.log1p(root) - math.log(order)) - 0.5 * (2 * math.pi * order * root).log() + series.log()


class LogMeanExp(torch.autograd.Function):
    """Compute :func:`log_mean_exp` from cosines block by block, for it takes a dozen float64 arrays; keep the slopes alone.

    d log(I_v(x) / x^v) / d(x^2) is half of I_(v+1)(x) / (x I_v(x)).
    """

    @staticmethod
    def forward(ctx: Any, cosines: Tensor, kappa: Tensor, temperature: float, order: float) -> Tensor:
        """Return the logarithms, shape (N, C)."""
        kappa = kappa.double()
        scale, alone = 2 / temperature * kappa, log_bessel(kappa.square(), order)
        values, slopes = [], []
        for rows in torch.split(cosines, max(1, _BLOCK // len(kappa))):
            squares = kappa.square() + scale * rows + temperature**-2
            value = log_bessel(squares, order)
            slopes.append((0.5 * scale * (log_bessel(squares, order + 1) - value).exp()).to(cosines.dtype))
            values.append((value - alone).to(cosines.dtype))
        ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient by the cosines."""
        (slopes,) = ctx.saved_tensors
        return gradients[0] * slopes, None, None, None


def log_mean_exp(points: Tensor, directions: Tensor, kappa: Tensor, temperature: float) -> Tensor:
    """Return log E exp(z x / tau) for z in ``points`` and x from each distribution, shape (N, C).

    That is log of C_d(kappa) / C_d(k), k the length of kappa mu + z / tau, C_d the normalizing constant.

    Args:
        points: z, length 1, shape (N, d).
        directions: mu, length 1 (or 0, where kappa is 0), shape (C, d).
        kappa: Shape (C,).
        temperature: tau.
    """
    with torch.autocast(points.device.type, enabled=False):
        cosines = points @ directions.T  # (N, C)
    found: Tensor = LogMeanExp.apply(cosines, kappa, temperature, points.shape[1] / 2 - 1)
    return found
