"""How far several opinions of one image lie apart."""

from __future__ import annotations

from torch import Tensor


def mutual_divergence(logits: Tensor) -> Tensor:
    """Sum the Kullback-Leibler divergence over the ordered pairs of experts, for every image, shape (B,).

    Sum over i, j of KL(p_j, p_i) = E sum_j <p_j, log p_j> - <sum_j p_j, sum_i log p_i>, which makes no array of pairs.

    Args:
        logits: Shape (B, E, C).
    """
    log_p = logits.float().log_softmax(dim=2)
    p = log_p.exp()
    return logits.shape[1] * (p * log_p).sum(dim=(1, 2)) - (p.sum(dim=1) * log_p.sum(dim=1)).sum(dim=1)
