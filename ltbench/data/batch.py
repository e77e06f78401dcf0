"""What a training step is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Batch:
    """Hold this process's part of a global batch, for one accumulation step.

    Change a copy: ``dataclasses.replace(batch, images=..., targets=...)``.

    Args:
        images: First view, float, shape (B, channels, height, width); None where a stage trains on cached features.
        labels: int64, shape (B,).
        targets: Weighted labels, ``[(labels (B,), weight), ...]``; a weight is a number or has shape (B,). Mixing adds to it.
        indices: Positions in the training split, int64, shape (B,).
        embedding: Cached features, shape (B, D), or None.
        global_labels: Labels of the whole global batch, shape (G,): what a weighted loss is normalized by, without any
            communication.
        chunks: Into how many parts the global batch is cut: processes times accumulation steps.
        first: Row of the global batch that this part begins with.
        views: Every view of the images as it was drawn, in the order in which the method declares them; the first is ``images``.
        pieces: Views of this process's parts of the global batch, for each accumulation step; none where there are no images.
    """

    images: Tensor | None
    labels: Tensor
    targets: list[tuple[Tensor, float | Tensor]]
    indices: Tensor
    global_labels: Tensor
    views: list[Tensor] = field(default_factory=list)
    embedding: Tensor | None = None
    chunks: int = 1
    first: int = 0
    pieces: list[list[Tensor]] = field(default_factory=list, repr=False)

    def rows_of(self, everything: Tensor) -> Tensor:
        """Return this part's rows of a tensor with one for each image of the global batch, shape (G, ...), on the labels' device.

        What is drawn for every image is drawn for the whole global batch, ``len(batch.global_labels)`` rows of it, and cut by
        this: then no image's number depends on the number of processes or of accumulation steps.
        """
        return everything[self.first:self.first + len(self.labels)].to(self.labels.device, non_blocking=True)
