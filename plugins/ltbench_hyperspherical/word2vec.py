"""Word vectors as fixed prototypes, a baseline of Mettes et al. (2019), with vectors as of Mikolov et al. (2013)."""

from __future__ import annotations

from torch import Tensor, nn

import ltbench
from ltbench_hyperspherical.fixed import HeadKind, Reduction, Weights
from ltbench_hyperspherical.hpn import HypersphericalPrototypeNetwork
from ltbench_hyperspherical.word_vectors import read_class_vectors


class Word2VecPrototypes(HypersphericalPrototypeNetwork):
    """Pull features to the word vectors of their classes' names, by the squared cosine distance.

    Related classes then stand side by side, and some of them very near to each other. d is that of the vectors.

    Args:
        vectors_file: A text file of word vectors, below the working folder; without one nothing can be trained.
        vectors_sha256: Sixteen or more digits of its hash.
        head: As of ``hyperspherical``.
        reduction: As of ``hyperspherical``.
        weights: As of ``hyperspherical``.
    """

    name = "word2vec"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, vectors_file: str = "", vectors_sha256: str = "", head: HeadKind = "linear",
                 reduction: Reduction = "mean", weights: Weights = "none") -> None:
        super().__init__(facts, head=head, reduction=reduction, weights=weights)
        self.vectors_file = vectors_file
        self.vectors_sha256 = vectors_sha256

    def build_head(self, make: ltbench.HeadFactory) -> nn.Module:
        """Return the head, to as many dimensions as the vectors have."""
        self.dim = self._vectors().shape[1]
        return super().build_head(make)

    def prototypes(self, ctx: ltbench.Context) -> Tensor:
        """Return the classes' vectors, shape (C, d)."""
        return self._vectors()

    def _vectors(self) -> Tensor:
        return read_class_vectors(self.vectors_file, self.vectors_sha256, self.facts.class_names)
