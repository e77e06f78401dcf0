"""The prototype classifier as the paper's public code trains it, where that differs from the print (Sharma et al., 2023)."""

from __future__ import annotations

import ltbench
from ltbench_prototype.prototype import Distance, Inputs, PrototypeClassifier, View
from ltbench_prototype.setting import setting


class PublicPrototypeClassifier(PrototypeClassifier):
    """Learn prototypes with the rates of the public code, from centroids of augmented images on.

    In the paper track it also draws 50,000 samples and averages over the mirror image, as that code always does; in the common
    track all methods have the same draws and views.

    Args:
        distance: ``euclidean`` (eq. 2), ``squared`` or ``cosine``.
        cdt: Whether channel temperatures are learned (eq. 4).
        tau: Weight of the logit adjustment in training (eq. 5).
        lr: Of the prototypes.
        temperature_lr: Of the channel temperatures.
        temperature_weight_decay: Likewise.
        inputs: ``features`` trains on cached embeddings of plain images; ``images`` on embeddings of augmented ones.
        centroid_view: Whether the centroids to start from are those of ``plain`` or of ``augmented`` images.
    """

    name = "prototype_public"

    def __init__(self, facts: ltbench.Facts, *, distance: Distance = "euclidean", cdt: bool = True, tau: float = 1 / 3.8,
                 lr: float = 4.2, temperature_lr: float = 0.005, temperature_weight_decay: float = 2e-4,
                 inputs: Inputs = "features", centroid_view: View = "augmented") -> None:
        super().__init__(facts, distance=distance, cdt=cdt, tau=tau, lr=lr, temperature_lr=temperature_lr,
                         temperature_weight_decay=temperature_weight_decay, inputs=inputs, centroid_view=centroid_view)

    @classmethod
    def paper(cls, task: ltbench.Task) -> ltbench.PaperSetting | None:
        """Return the setting of the public code, on CIFAR-100."""
        return setting(task, public=True)
