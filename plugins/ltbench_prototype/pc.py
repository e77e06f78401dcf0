"""The prototype classifier of eqs. 1 to 3 alone (Sharma et al., 2023, table 1, "PC")."""

from __future__ import annotations

import ltbench
from ltbench_prototype.prototype import Distance, Inputs, PrototypeClassifier, View


class PrototypesOnly(PrototypeClassifier):
    """Learn the prototypes, without channel temperatures and without logit adjustment.

    Args:
        distance: ``euclidean`` (eq. 2), ``squared`` or ``cosine``.
        lr: Of the prototypes.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        centroid_view: Whether the centroids to start from are those of ``plain`` or of ``augmented`` images.
        draws: Samples drawn in all, in place of the protocol's; None for the protocol's.
        mirror: Whether probabilities are averaged over a test image and its mirror image; None for what the protocol says.
    """

    name = "pc"

    def __init__(self, facts: ltbench.Facts, *, distance: Distance = "euclidean", lr: float = 4.0, inputs: Inputs = "features",
                 centroid_view: View = "plain", draws: int | None = None, mirror: bool | None = None) -> None:
        super().__init__(facts, distance=distance, cdt=False, tau=0.0, lr=lr, inputs=inputs, centroid_view=centroid_view,
                         draws=draws, mirror=mirror)
