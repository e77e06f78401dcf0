"""The prototype classifier with logit adjustment (Sharma et al., 2023, section 3.5; table 1, "+ LA")."""

from __future__ import annotations

import ltbench
from ltbench_prototype.prototype import Distance, Inputs, PrototypeClassifier, View


class AdjustedPrototypes(PrototypeClassifier):
    """Learn the prototypes with logits shifted by the class sizes, without channel temperatures.

    Args:
        distance: ``euclidean`` (eq. 2), ``squared`` or ``cosine``.
        tau: Weight of the logit adjustment in training (eq. 5).
        lr: Of the prototypes.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        centroid_view: Whether the centroids to start from are those of ``plain`` or of ``augmented`` images.
        draws: Samples drawn in all, in place of the protocol's; None for the protocol's.
        mirror: Whether probabilities are averaged over a test image and its mirror image; None for what the protocol says.
    """

    name = "pc_la"

    def __init__(self, facts: ltbench.Facts, *, distance: Distance = "euclidean", tau: float = 0.25, lr: float = 4.0,
                 inputs: Inputs = "features", centroid_view: View = "plain", draws: int | None = None,
                 mirror: bool | None = None) -> None:
        super().__init__(facts, distance=distance, cdt=False, tau=tau, lr=lr, inputs=inputs, centroid_view=centroid_view,
                         draws=draws, mirror=mirror)
