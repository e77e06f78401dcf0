"""patches-lt: 16 x 16 patches of the two photographs that come with scikit-learn (a pagoda in China and a dahlia).

The class is the quarter of the photograph that a patch was cut from: upper left, upper right, lower left, lower right of the one,
then of the other. Every quarter holds 13 x 20 patches side by side; none overlaps another, so that no test pixel is trained on.
Of each class 50 patches are for testing. At the default ratio 20 the training counts are 150, 97, 63, 41, 27, 17, 11, 7.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import ltbench

SIDE = 16
ROWS, COLUMNS = 13, 20
TEST_PER_CLASS = 50
_TEST_SEED = 0
_FILES = ("china.jpg", "flower.jpg")
_QUARTERS = ("upper left", "upper right", "lower left", "lower right")
_AUGMENTATION = ("crop", "flip")


class PatchesLT(ltbench.Dataset):
    """Cut the photographs up."""

    name = "patches-lt"
    class_names = tuple(f"{photo}, {quarter}" for photo in ("pagoda", "dahlia") for quarter in _QUARTERS)
    mean = (0.3927, 0.4296, 0.3886)  # of the training pool
    std = (0.3744, 0.3009, 0.3277)
    image_size = SIDE
    crop_padding = 2
    max_per_class = 150
    protocols = {
        "smoke": ltbench.Protocol("smoke", "digits", epochs=2, batch_size=32, schedule="one_cycle", warmup=0.25, per_class=10,
                                  augmentation=_AUGMENTATION, stage2_draws=1.0, stage2_batch_size=32),
        "quick": ltbench.Protocol("quick", "digits", epochs=16, batch_size=32, schedule="one_cycle", warmup=0.25,
                                  augmentation=_AUGMENTATION, stage2_batch_size=32),
        "common": ltbench.Protocol("common", "digits", epochs=60, batch_size=32, augmentation=_AUGMENTATION,
                                   stage2_batch_size=32),
    }

    def load(self, root: Path | None, *, download: bool = False) -> ltbench.Parts:
        """Return both parts; neither a folder nor the network is needed."""
        from sklearn.datasets import load_sample_image

        generator = np.random.default_rng(_TEST_SEED)
        pixels: dict[str, list[np.ndarray]] = {"train": [], "test": []}
        for file in _FILES:
            for quarter in quarters(load_sample_image(file)):
                order = generator.permutation(len(quarter))
                pixels["test"].append(quarter[order[:TEST_PER_CLASS]])
                pixels["train"].append(quarter[order[TEST_PER_CLASS:]])
        return ltbench.Parts(*(_images(pixels[part]) for part in ("train", "test")))


def quarters(photo: np.ndarray) -> list[np.ndarray]:
    """Cut a photograph into the patches of its four quarters.

    Args:
        photo: uint8, shape (height, width, 3), at least 2 * 13 patches high and 2 * 20 wide.

    Returns:
        Four arrays, uint8, shape (260, 3, 16, 16).
    """
    height, width = ROWS * SIDE, COLUMNS * SIDE
    cut = []
    for top in (0, photo.shape[0] - height):
        for left in (0, photo.shape[1] - width):
            window = photo[top:top + height, left:left + width]
            grid = window.reshape(ROWS, SIDE, COLUMNS, SIDE, 3).transpose(0, 2, 4, 1, 3)  # (13, 20, 3, 16, 16)
            cut.append(grid.reshape(-1, 3, SIDE, SIDE))
    return cut


def _images(by_class: list[np.ndarray]) -> ltbench.TensorImages:
    labels = np.repeat(np.arange(len(by_class)), [len(patches) for patches in by_class])
    return ltbench.TensorImages(torch.from_numpy(np.ascontiguousarray(np.concatenate(by_class))), torch.from_numpy(labels))
