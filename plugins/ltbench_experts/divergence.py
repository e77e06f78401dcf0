"""How far several opinions of one image lie apart."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function

# A logit of classes that are left out of a softmax: exp of it is 0 and, unlike infinity, 0 times it is never NaN.
NEVER = -1e4


def mutual_divergence(logits: Tensor) -> Tensor:
    """Sum the Kullback-Leibler divergence over the ordered pairs of experts, for every image, shape (B,).

    Gradients pass through both sides of a pair.

    Args:
        logits: Shape (B, E, C).
    """
    result: Tensor = _MutualDivergence.apply(logits.float())
    return result


class _MutualDivergence(Function):
    """Keep the logits alone for the gradient: autograd would keep several (B, E, C) arrays, too many for 8,142 classes.

    With P = sum p_j and S = sum log p_j, the sum over i, j of KL(p_j, p_i) is sum_j <p_j, v_j>, where v_j = E log p_j - S.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        log_p = logits.log_softmax(dim=2)
        v = logits.shape[1] * log_p - log_p.sum(dim=1, keepdim=True)
        return v.mul_(log_p.exp_()).sum(dim=(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return p_j (v_j - <p_j, v_j>) + E p_j - P: the last two terms are by the logarithms in S."""
        (logits,) = ctx.saved_tensors
        experts = logits.shape[1]
        log_p = logits.log_softmax(dim=2)
        v = experts * log_p - log_p.sum(dim=1, keepdim=True)
        p = log_p.exp_()
        v.sub_((p * v).sum(dim=2, keepdim=True)).add_(experts).mul_(p).sub_(p.sum(dim=1, keepdim=True))
        gradient: Tensor = v.mul_(gradients[0][:, None, None])
        return gradient
