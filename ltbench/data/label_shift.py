"""Label-shifted test sets: the balanced test images, thinned out to a long tail (Hong et al., 2021; Zhang et al., 2022).

A test set shifted *forward* by r is long-tailed as the training set is, *backward* the other way round; the largest class has r
times the images of the smallest. Classes stand in the order of their training images (those of one count in label order), or for
a backward shift in the reverse, and the class in place i of C keeps ``int(m * (1 / r) ** (i / (C - 1)))`` test images.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ltbench.data.arrays import Ints
from ltbench.data.chunks import occurrences
from ltbench.data.longtail import exponential_counts
from ltbench.data.randomness import derive_seed, uniform
from ltbench.terms.shift import Shift


def shifted_counts(test_counts: npt.ArrayLike, class_counts: npt.ArrayLike, shift: Shift) -> Ints:
    """Return how many test images of each class a shifted set keeps, shape (C,).

    m is the largest whole number with which no class is asked for more images than it has: a balanced test set's own number, and
    in any other the shares of the classes are still those of the formula. A class without test images takes no place; one whose
    share is below one image keeps none.
    """
    available, trained = np.asarray(test_counts, dtype=np.int64), np.asarray(class_counts, dtype=np.int64)
    tested = np.flatnonzero(available)
    falling = tested[np.argsort(-trained[tested], kind="stable")]
    places = falling if shift.direction == "forward" else falling[::-1]
    last = max(len(places) - 1, 1)
    # Python's floats: numpy's powers differ in their last bit from machine to machine, and truncation would show it.
    shares = [(1 / shift.ratio) ** (i / last) for i in range(len(places))]
    m = min((int(n / share) for n, share in zip(available[places].tolist(), shares, strict=True)), default=0)
    counts = np.zeros(len(available), dtype=np.int64)
    counts[places] = exponential_counts(len(places), m, shift.ratio)
    return counts


def build_shift(
    ids: npt.ArrayLike, labels: npt.ArrayLike, class_counts: npt.ArrayLike, shift: Shift, seed: int
) -> npt.NDArray[np.bool_]:
    """Draw a shifted test set.

    A seed puts the images of a class in one order, whatever the shift, and a shift takes the first of them: two shifts differ in
    no more images than their counts ask for. The order is a function of the seed and of each image's id alone, so neither numpy's
    version nor the images beside it matter.

    Args:
        ids: Position of each image in the whole test part, shape (N,).

    Returns:
        Whether each image is in the set, shape (N,).
    """
    positions, classes = np.asarray(ids, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    drawn = uniform(derive_seed("label shift", seed), 0, positions, 1)[:, 0]  # (N,)
    order = np.lexsort((drawn, classes))
    ranks = np.empty(len(classes), dtype=np.int64)  # within the image's class
    ranks[order] = occurrences(classes[order])
    num_classes = len(np.asarray(class_counts))
    counts = shifted_counts(np.bincount(classes, minlength=num_classes), class_counts, shift)
    return np.asarray(ranks < counts[classes])
