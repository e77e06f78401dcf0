"""Remix: mixup whose labels favor the rarer class (Chou et al., 2020)."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from torch import Tensor

import ltbench


class Remix(ltbench.Method):
    """Mix pairs of images as mixup does, and give the whole label to the class that is much rarer.

    Args:
        alpha: Both parameters of the Beta distribution of the images' proportion.
        kappa: How many times the images of one class the other must have to give its label away; the paper's 3.
        tau: The proportion from which a class keeps its part of the label; the paper's 0.5.
    """

    name = "remix"
    stages = frozenset({1, 2})
    inputs = "images"

    def __init__(self, facts: ltbench.Facts, *, alpha: Annotated[ltbench.Positive, ltbench.LogUniform(0.1, 2.0)] = 1.0,
                 kappa: Annotated[float, ltbench.Interval(ge=1), ltbench.Uniform(1.0, 10.0)] = 3.0,
                 tau: Annotated[ltbench.Fraction, ltbench.Uniform(0.0, 1.0)] = 0.5) -> None:
        super().__init__(facts)
        self.alpha = alpha
        self.kappa = kappa
        self.tau = tau

    def mix(self, ctx: ltbench.Context, batch: ltbench.Batch) -> ltbench.Batch:
        """Return the batch with its first view mixed by lambda and its labels by lambda_y."""
        if batch.images is None:
            raise ValueError("mixing needs images, got a batch without")
        share = ctx.draw_beta(self.alpha, self.alpha)  # lambda
        others = ctx.partners(batch)
        weights = self.label_shares(ctx.class_counts[batch.labels], ctx.class_counts[others.labels], share)
        images = share * batch.images + (1 - share) * others.images
        return dataclasses.replace(batch, images=images, targets=[(batch.labels, weights), (others.labels, 1 - weights)])

    def label_shares(self, own: Tensor, other: Tensor, share: float) -> Tensor:
        """Return lambda_y, the weight of each image's own label, shape (B,).

        Args:
            own: n_i, the number of training images in the class of each image, shape (B,).
            other: n_j, that of its partner's class, shape (B,).
            share: lambda.
        """
        weights = torch.full(own.shape, share, device=own.device)
        if share < self.tau:  # own is the class with more images, and has the smaller part of this one
            weights = weights.masked_fill(own >= self.kappa * other, 0.0)
        if 1 - share < self.tau:
            weights = weights.masked_fill(other >= self.kappa * own, 1.0)
        return weights
