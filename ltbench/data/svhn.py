"""svhn-lt (Netzer et al., 2011): house numbers, 32 x 32, one digit in the middle.

The set is not balanced: 13,861 training images of a 1, 4,659 of a 9. Two public codes ask the largest class, digit 0, for a tenth
of the whole, 7,325, where there are 4,948, and then write labels by the counts that they asked for, so that every later class is
shifted. Here the largest class asks for 4,659, what the rarest digit has: no ratio asks a class for more than it has, ratio 1 is
balanced, and a label is the image's own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ltbench.data.base import Dataset
from ltbench.data.cifar import Cifar10LT
from ltbench.data.fetched import download as fetch
from ltbench.data.fetched import folder_of, require, torchvision_set
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.published import Published
from ltbench.errors import UserError

_FOLDER = "svhn"
# As on CIFAR-10, without flips: a mirrored 2 is not a 2.
PROTOCOLS = {name: replace(protocol, augmentation=("crop",)) for name, protocol in Cifar10LT.protocols.items()}


class SvhnLT(Dataset):
    """Read ``train_32x32.mat`` and ``test_32x32.mat``; the extra images are left alone."""

    name = "svhn-lt"
    class_names = tuple(str(digit) for digit in range(10))
    mean = (0.4377, 0.4438, 0.4728)  # of the training part
    std = (0.1980, 0.2010, 0.1970)
    image_size = 32
    max_per_class = 4659
    protocols = PROTOCOLS
    published = Published((4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
                          (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595))

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Read both parts from the folder ``svhn`` in the root, or from the root itself."""
        folder = folder_of(root, _FOLDER)
        reader = torchvision_set("SVHN")
        if download:
            fetch(self.name, reader, folder)
        listed = [reader.split_list[part] for part in ("train", "test")]
        files = [require(self.name, folder / name, md5) for _, name, md5 in listed]
        return Parts(*(self._read(file) for file in files))

    def _read(self, path: Path) -> TensorImages:
        from scipy.io import loadmat

        try:
            content = loadmat(path, variable_names=("X", "y"))
            pixels, digits = content["X"], content["y"].reshape(-1).astype(np.int64)
            if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, len(digits)):
                raise ValueError(f"X is {pixels.dtype} of shape {pixels.shape}")
            if not np.isin(digits, range(1, 11)).all():
                raise ValueError("y is not from 1 to 10")
        except Exception as error:  # a damaged file fails in many ways: header, compression, contents
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{self.name} has a damaged file: {str(path)!r} cannot be read ({reason})") from error
        # The files call the digit 0 "10".
        return TensorImages(torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))), torch.from_numpy(digits % 10))
