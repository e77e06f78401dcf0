"""What the methods share: a frozen backbone, a change of its blocks, and the proof that the change is what it should be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

import ltbench


def frozen(make: ltbench.BackboneFactory, who: str) -> nn.Module:
    """Return the task's backbone, all of it fixed.

    Args:
        who: The method, for messages.

    Raises:
        UserError: If a user chose a part of it to be trained, which the method would undo.
    """
    full = make.full()
    if not all(parameter.requires_grad for parameter in full.parameters()):
        raise ltbench.UserError(f"{who!r} says itself what of a backbone is trained: --tune must be all, or left out")
    return full.requires_grad_(False)


def adapt(make: ltbench.BackboneFactory, who: str, change: Callable[[nn.Module], Sequence[nn.Parameter]], *,
          starts_plain: bool = True) -> nn.Module:
    """Freeze the task's backbone, change its transformer, and try it on one image.

    timm has transformers of many kinds. What was added must take part in all of them, and change nothing before it is trained: a
    block that runs its parts in another order is found out here, and not by a figure that is too low.

    Args:
        who: The method, for messages.
        change: Changes a transformer in place and returns what is to be trained.
        starts_plain: Whether the changed backbone must give what it gave before.

    Raises:
        UserError: If there is no transformer, or its blocks do not take the change.
    """
    full = frozen(make, who)
    transformer = make.transformer()
    what = f"{who!r} cannot change the blocks of a {type(transformer).__name__}"
    image = torch.linspace(-1.0, 1.0, math.prod(make.image_shape)).view(1, *make.image_shape)
    full.eval()
    before = full(image)
    try:
        added = list(change(transformer))
        if image.is_meta:  # planned: there are no numbers
            return full.train()
        after = full(image)
        slopes = torch.autograd.grad(after.square().sum(), added, allow_unused=True)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:  # of a model that reads its parts in a way of its own
        raise ltbench.UserError(f"{what}: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
    if starts_plain and not torch.allclose(before, after, rtol=1e-4, atol=1e-5):
        raise ltbench.UserError(f"{what}: they run in another order than attention, then a norm and a perceptron")
    if any(slope is None for slope in slopes):
        raise ltbench.UserError(f"{what}: it would have no effect")
    return full.train()
