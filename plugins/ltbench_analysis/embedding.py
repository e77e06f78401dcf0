"""Two-dimensional maps of points by t-SNE (van der Maaten and Hinton, 2008), the same for the same points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_SEED = 0


def map_points(points: Tensor, perplexity: float = 30.0) -> Tensor:
    """Return t-SNE's map, float64, shape (N, 2).

    Gradient sums are added up by one thread: their order would otherwise change the last digit, and t-SNE makes much of it.

    Args:
        points: Shape (N, d), N at least 4.
        perplexity: Brought down where there are few points.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    wide = points.double().numpy()
    with threadpool_limits(1):
        model = TSNE(2, perplexity=min(perplexity, (len(points) - 1) / 3), init="random", random_state=_SEED)
        return torch.from_numpy(np.asarray(model.fit_transform(wide), dtype=np.float64))
