"""digits-lt: scikit-learn's handwritten digits, embedded in the package, so that a first run needs no download.

The 1,797 images of 8 x 8 pixels (Alpaydin & Kaynak, 1998) have 174 to 183 images a class. A fixed seed, apart from every split
seed, takes 50 of each class for the balanced test part, and the 1,297 others (124 to 133 a class) are what training images are
drawn from. At the default ratio 20 the counts are 120, 86, 61, 44, 31, 22, 16, 11, 8, 6: 405 images, with 1 many, 5 medium and
4 few classes.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from ltbench.data.base import Dataset
from ltbench.data.longtail import select
from ltbench.data.parts import Parts, TensorImages
from ltbench.errors import UserError
from ltbench.terms.protocol import COMMON, Protocol

TEST_PER_CLASS = 50
_TEST_SEED = 20  # of the test part, for ever: another seed makes another benchmark
_BRIGHTEST = 16

# A crop moves a digit by one of its eight pixels. No flips: a mirrored 2 is not a 2, and a 6 could pass for a 9 upside down.
_AUGMENTATION = ("crop",)

# Learning rates are the defaults of a protocol: none was tuned, on these images least of all.
PROTOCOLS = {
    "smoke": Protocol("smoke", "digits", epochs=2, batch_size=32, schedule="one_cycle", warmup=0.25, augmentation=_AUGMENTATION,
                      stage2_draws=1.0, stage2_batch_size=32, per_class=10),
    "quick": Protocol("quick", "digits", epochs=16, batch_size=32, schedule="one_cycle", warmup=0.25, augmentation=_AUGMENTATION,
                      stage2_batch_size=32),
    COMMON: Protocol(COMMON, "digits", epochs=60, batch_size=32, augmentation=_AUGMENTATION, stage2_batch_size=32),
}


class DigitsLT(Dataset):
    """Read the digits from scikit-learn; gray values 0 to 16 become 0 to 255."""

    name = "digits-lt"
    class_names = tuple(str(digit) for digit in range(10))
    mean = (0.3059,)  # of the training pool
    std = (0.3760,)
    image_size = 8
    crop_padding = 1
    max_per_class = 120
    protocols = PROTOCOLS

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Return both parts; neither a folder nor the network is needed."""
        table = _read_digits()
        pixels = np.round(table[:, :-1] * (255 / _BRIGHTEST)).astype(np.uint8).reshape(-1, 1, 8, 8)
        labels = table[:, -1].astype(np.int64)
        test = np.sort(select(labels, [TEST_PER_CLASS] * self.num_classes, _TEST_SEED))
        train = np.setdiff1d(np.arange(len(labels)), test)
        return Parts(*(TensorImages(torch.from_numpy(pixels[part]), torch.from_numpy(labels[part])) for part in (train, test)))


def _read_digits() -> np.ndarray:
    """Return scikit-learn's table, shape (1797, 65): pixels and a label. To import the library takes longer than a small run."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise UserError("scikit-learn is not installed, which holds the digits; `ltbench doctor` says what is installed")
    path = Path(found.origin).with_name("datasets") / "data" / "digits.csv.gz"
    try:
        return np.loadtxt(path, delimiter=",")
    except (OSError, ValueError) as error:
        raise UserError(f"scikit-learn's digits cannot be read ({error}); `ltbench doctor` says what is installed") from error
