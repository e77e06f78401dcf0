"""The prototype classifier with channel temperatures (Sharma et al., 2023, section 3.4; table 1, "+ CDT")."""

from __future__ import annotations

import ltbench
from ltbench_prototype.prototype import Distance, Inputs, PrototypeClassifier, View


class PrototypesWithTemperatures(PrototypeClassifier):
    """Learn the prototypes and how much each channel counts in the distance, without logit adjustment.

    Args:
        distance: ``euclidean`` (eq. 2), ``squared`` or ``cosine``.
        lr: Of the prototypes.
        temperature_lr: Of the channel temperatures.
        temperature_weight_decay: Likewise; it draws temperatures to 1.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        centroid_view: Whether the centroids to start from are those of ``plain`` or of ``augmented`` images.
        draws: Samples drawn in all, in place of the protocol's; None for the protocol's.
        mirror: Whether probabilities are averaged over a test image and its mirror image; None for what the protocol says.
    """

    name = "pc_cdt"

    def __init__(self, facts: ltbench.Facts, *, distance: Distance = "euclidean", lr: float = 4.0, temperature_lr: float = 0.005,
                 temperature_weight_decay: float = 0.0, inputs: Inputs = "features", centroid_view: View = "plain",
                 draws: int | None = None, mirror: bool | None = None) -> None:
        super().__init__(facts, distance=distance, tau=0.0, lr=lr, temperature_lr=temperature_lr,
                         temperature_weight_decay=temperature_weight_decay, inputs=inputs, centroid_view=centroid_view,
                         draws=draws, mirror=mirror)
