"""Local projection: which directions around a centroid count (Learned NCM paper, section 3.1, eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ltbench
from ltbench_ncm.class_blocks import in_class_blocks, projected_difference
from ltbench_ncm.ranked import RankedClassifier, RankedDistance


class LocalProjectionClassifier(RankedClassifier):
    """Score a class by minus half of (x - c)^T Q diag(sigmoid(w)) Q^T (x - c).

    The columns of Q are the eigenvectors of the class's covariance. Where only the r largest are kept, all other directions
    share one more weight: Q diag Q^T is then s I + U diag(s_i - s) U^T, and no basis of the rest is needed.

    Attributes:
        prototypes: c, fixed, shape (C, d).
        metric: Q^T, fixed, shape (C, r, d): rows by increasing eigenvalue.
        weights: w before the sigmoid, shape (C, r), in the same order; 0 at the start.
        rest: The weight of all other directions, shape (C,); None if r = d.
    """

    rest: nn.Parameter | None

    def __init__(self, features: int, classes: int, rank: int) -> None:
        super().__init__(features, classes, rank)
        self.register_buffer("prototypes", torch.zeros(classes, features))
        self.register_buffer("metric", torch.eye(features)[-rank:].expand(classes, -1, -1).contiguous())
        self.weights = nn.Parameter(torch.zeros(classes, rank))
        self.register_parameter("rest", nn.Parameter(torch.zeros(classes)) if rank < features else None)

    def squared(self, features: Tensor) -> Tensor:
        """Return eq. 4's distance, shape (B, C); it is a squared one.

        Args:
            features: Shape (B, d).
        """
        with torch.autocast(features.device.type, enabled=False):
            x, share = features.float(), self.weights.sigmoid()
            if self.rest is None:
                return in_class_blocks(_within, x, (self.prototypes, self.metric, share), share.shape[1])
            common = self.rest.sigmoid()
            within = in_class_blocks(_within, x, (self.prototypes, self.metric, share - common[:, None]), share.shape[1])
            # A sum of shares of the squared distance, all positive: below 0 is rounding.
            return (within + common * ltbench.pairwise_squared_distance(x, self.prototypes)).clamp_min(0)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, shape (B, C), at most 0."""
        return -0.5 * self.squared(features)


def _within(x: Tensor, centroids: Tensor, bases: Tensor, share: Tensor) -> Tensor:
    return (projected_difference(x, centroids, bases).square() * share).sum(dim=2)


class LocalProjection(RankedDistance):
    """Learn how much each eigendirection of each class counts, around fixed centroids.

    A tool to look into features more than a classifier: directions of large variance that are spurious get a small weight.

    Args:
        rank: Eigendirections of each class that have weights of their own, the largest ones; none for all.
    """

    name = "local_projection"
    leaves = "LocalProjectionClassifier"
    kind = LocalProjectionClassifier

    def orient(self, classifier: RankedClassifier, bank: ltbench.Bank) -> None:
        """Take the eigenvectors of the classes' covariances."""
        order = bank.labels.argsort(stable=True)
        counts = torch.bincount(bank.labels, minlength=self.facts.num_classes).tolist()
        for k, rows in enumerate(torch.split(order, counts)):
            members = bank.embedding[rows.to(bank.embedding.device)].to(rows.device)  # a large bank is not on the device
            classifier.metric[k] = eigenvectors(members - classifier.prototypes[k], classifier.metric.shape[1])


def eigenvectors(centered: Tensor, count: int) -> Tensor:
    """Return the eigenvectors of a covariance with the largest eigenvalues, by increasing eigenvalue, shape (count, D).

    Directions that no sample has any extent in have eigenvalue 0; if all D are asked for, some orthonormal basis of those
    comes first, else zeros stand for them.

    Args:
        centered: Samples minus their mean, shape (n, D).
        count: At most D.
    """
    n, width = centered.shape
    if n == 0:
        return torch.eye(width, dtype=centered.dtype, device=centered.device)[-count:]
    # Singular vectors of the samples: the D x D covariance is not built, and its small eigenvalues are not squared away.
    rows = torch.linalg.svd(centered.double(), full_matrices=count == width)[2][:count]
    found = torch.zeros(count, width, dtype=centered.dtype, device=centered.device)
    found[count - len(rows):] = rows.flip(0).to(centered.dtype)
    return found
