"""cifar10-lt and cifar100-lt (Krizhevsky, 2009), from the official files through torchvision."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ltbench.data.base import Dataset
from ltbench.data.fetched import download as fetch
from ltbench.data.fetched import folder_of, require, torchvision_set
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.published import Published
from ltbench.errors import UserError
from ltbench.terms.protocol import COMMON, TUNED, Protocol

_SIDE = 32


def _protocols(smoke_batch: int) -> dict[str, Protocol]:
    return {
        "smoke": Protocol("smoke", "resnet32", epochs=2, batch_size=smoke_batch, stage2_draws=1.0, per_class=10),
        "quick": Protocol("quick", "resnet32", epochs=16, lr=0.2, schedule="one_cycle", warmup=0.25),
        COMMON: Protocol(COMMON, "resnet32", epochs=200, warmup=0.025),  # warm-up: 5 epochs
        TUNED: Protocol(TUNED, "timm:tf_efficientnet_lite0", epochs=10, lr=0.02, warmup=0.1, weight_decay=1e-4),
    }


class Cifar(Dataset):
    """Read one of the two CIFAR sets.

    Attributes:
        reader: torchvision's class, which knows the files, their md5 sums and where to download them.
    """

    reader: ClassVar[str]
    label_key: ClassVar[str]
    # The constants of most published code, for CIFAR-100 too.
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2023, 0.1994, 0.2010)
    image_size = _SIDE

    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Read both parts from the set's own folder in the root, or from the root itself."""
        reader = torchvision_set(self.reader)
        folder = folder_of(root, reader.base_folder)
        if download:
            fetch(self.name, reader, folder.parent, [{"train": True}])  # which brings both
        files = [[require(self.name, folder / name, md5) for name, md5 in listed]
                 for listed in (reader.train_list, reader.test_list)]
        train, test = ([self._read(path) for path in paths] for paths in files)
        return Parts(_join(train), _join(test))

    def _read(self, path: Path) -> TensorImages:
        """Read one file; only files whose md5 is the official one come here, for unpickling runs what it is given."""
        try:
            with path.open("rb") as file:
                content = pickle.load(file, encoding="latin1")
            pixels = np.asarray(content["data"], dtype=np.uint8).reshape(-1, 3, _SIDE, _SIDE)
            labels = np.asarray(content[self.label_key], dtype=np.int64)
            return TensorImages(torch.from_numpy(pixels), torch.from_numpy(labels))
        except Exception as error:  # unpickling fails in as many ways as there are damaged bytes
            raise UserError(f"{self.name} has a damaged file: {str(path)!r} cannot be read ({type(error).__name__})") from error


def _join(parts: list[TensorImages]) -> TensorImages:
    if len(parts) == 1:
        return parts[0]
    return TensorImages(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))


class Cifar10LT(Cifar):
    """CIFAR-10: 5,000 training and 1,000 test images a class."""

    name = "cifar10-lt"
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    max_per_class = 5000
    reader = "CIFAR10"
    label_key = "labels"
    protocols = _protocols(smoke_batch=32)  # 100 images in all
    published = Published.even(10, train=5000, test=1000)


class Cifar100LT(Cifar):
    """CIFAR-100: 500 training and 100 test images a class."""

    name = "cifar100-lt"
    class_names = tuple((
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
        "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish "
        "forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle "
        "mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine "
        "possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar "
        "sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale "
        "willow_tree wolf woman worm"
    ).split())
    max_per_class = 500
    reader = "CIFAR100"
    label_key = "fine_labels"
    protocols = _protocols(smoke_batch=128)
    published = Published.even(100, train=500, test=100)
