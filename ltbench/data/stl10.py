"""stl10-lt (Coates et al., 2011): ten classes of 96 x 96 pixels, 500 training and 800 test images each.

Images keep their size: the papers that report long-tailed figures state no other. The unlabeled images are left alone.
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

_FOLDER, _SIDE = "stl10_binary", 96

# As on CIFAR-10, with a smaller network for the smoke test.
# Without the tuned one: its images are of ImageNet, which weights of elsewhere have mostly seen.
PROTOCOLS = {**{name: Cifar10LT.protocols[name] for name in ("quick", "common")},
             "smoke": replace(Cifar10LT.protocols["smoke"], backbone="resnet20")}


class Stl10LT(Dataset):
    """Read the binary files."""

    name = "stl10-lt"
    class_names = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
    mean = (0.4467, 0.4398, 0.4066)  # of the labeled training part
    std = (0.2603, 0.2566, 0.2713)
    image_size = _SIDE
    crop_padding = 12  # an eighth of the side, as on CIFAR
    max_per_class = 500
    protocols = PROTOCOLS
    published = Published.even(10, train=500, test=800)

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Read both parts from the folder ``stl10_binary`` in the root, or from the root itself."""
        folder = folder_of(root, _FOLDER)
        reader = torchvision_set("STL10")
        if download:
            fetch(self.name, reader, folder.parent)
        # Images, then labels; the training part's third file holds the unlabeled ones.
        files = [[require(self.name, folder / name, md5) for name, md5 in listed[:2]]
                 for listed in (reader.train_list, reader.test_list)]
        return Parts(*(self._read(*pair) for pair in files))

    def _read(self, images: Path, labels: Path) -> TensorImages:
        try:
            pixels, classes = np.fromfile(images, dtype=np.uint8), np.fromfile(labels, dtype=np.uint8).astype(np.int64)
        except OSError as error:
            raise UserError(f"{str(error.filename or images)!r} cannot be read: {error.strerror}") from error
        if pixels.size != classes.size * 3 * _SIDE**2:
            raise UserError(f"{self.name} has a damaged file: {str(images)!r} must hold {classes.size} images of "
                            f"{3 * _SIDE**2} bytes, as {labels.name!r} says, got {pixels.size} bytes")
        if not np.isin(classes, range(1, 11)).all():
            raise UserError(f"{self.name} has a damaged file: {str(labels)!r} must hold numbers from 1 to 10")
        # Channel by channel, and each column by column.
        planes = pixels.reshape(-1, 3, _SIDE, _SIDE).swapaxes(2, 3)
        return TensorImages(torch.from_numpy(np.ascontiguousarray(planes)), torch.from_numpy(classes - 1))
