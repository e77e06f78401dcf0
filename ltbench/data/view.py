"""What an image goes through on its way into a model: augmentations one after the other, then normalization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ltbench.data.arrays import Floats
from ltbench.data.augmentation import Augmentation, ImageFacts, facts_of
from ltbench.data.base import Dataset
from ltbench.data.randomness import derive_seed, uniform
from ltbench.data.resized_crop import RandomResizedCrop


@dataclass(frozen=True)
class Drawn:
    """Hold the random numbers of some images, by augmentation, in the form that each takes them, shape (B, ...)."""

    numbers: Mapping[str, Any]

    def rows(self, place: slice) -> Drawn:
        """Return the random numbers of some of the images."""
        return Drawn({name: numbers[place] for name, numbers in self.numbers.items()})


def normalize(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Scale uint8 images to [0, 1] and standardize each channel, in float32."""
    scale, shift = _scale_and_shift(tuple(mean), tuple(std), images.device)
    # One product and one sum, each rounded once: the same floats on every device, which a fused multiply-add is not.
    return images.float().mul_(scale).add_(shift)


@lru_cache
def _scale_and_shift(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    # Kept per device: two small copies to a GPU in every batch would cost as much as the arithmetic.
    center, spread = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    scale, shift = 1 / (255 * spread), -center / spread
    return (scale.float().view(1, -1, 1, 1).to(device, non_blocking=True),
            shift.float().view(1, -1, 1, 1).to(device, non_blocking=True))


class View:
    """Turn uint8 images into what a model is fed.

    Args:
        steps: Augmentations by name, in order; none for normalization alone. Every name has random numbers of its own, so that
            adding one leaves the others as they were.
        facts: What is known of the images.
        label: A name for files that hold what the view gave: two views that differ have two.

    Raises:
        ValueError: If a window is not cut first, or an augmentation of normalized images does not come last.
    """

    def __init__(self, steps: Mapping[str, Augmentation], facts: ImageFacts, label: str = "") -> None:
        self._facts, self.label = facts, label
        self._steps = dict(steps)
        if len(facts.mean) != len(facts.std) or min(facts.std, default=0) <= 0:
            raise ValueError(f"mean and std must have one number a channel, std above 0, got {facts.mean} and {facts.std}")
        told = ", ".join(self._steps)
        self._window: tuple[str, RandomResizedCrop] | None = None  # cut where images are decoded
        for position, (name, step) in enumerate(self._steps.items()):
            if isinstance(step, RandomResizedCrop):
                if position:
                    raise ValueError(f"{name!r} must be the first augmentation, got {told}")
                self._window = (name, step) if facts.decoded else None
            if step.normalized and not all(after.normalized for after in list(self._steps.values())[position:]):
                raise ValueError(f"{name!r} must be the last augmentation, got {told}")

    @property
    def cuts_windows(self) -> bool:
        """Whether images must be cut where they are decoded."""
        return self._window is not None

    def __call__(self, pixels: Tensor, indices: Tensor | npt.ArrayLike, seed: int, epoch: int, view: int = 0) -> Tensor:
        """Augment and normalize a batch.

        Args:
            pixels: uint8, shape (B, channels, height, width).
            indices: What names each image, integers, shape (B,).

        Returns:
            float32, shape (B, channels, height, width), channels last in memory.
        """
        numbers = indices.cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)
        return self.apply(pixels, self.ready(self.draw(numbers, seed, epoch, view), pixels))

    def draw(self, indices: npt.ArrayLike, seed: int, epoch: int, view: int = 0) -> dict[str, Floats]:
        """Return the random numbers of each augmentation of a batch, by name, shape (N, draws)."""
        at_home = {name: step for name, step in self._steps.items() if not self._window or name != self._window[0]}
        return {name: uniform(derive_seed(name, seed, view), epoch, indices, step.draws) for name, step in at_home.items()}

    def windows(self, indices: npt.ArrayLike, seed: int, epoch: int, view: int = 0) -> Floats | None:
        """Return the random numbers of the windows that images are decoded from, shape (B, 22); None where whole images are."""
        if self._window is None:
            return None
        name, step = self._window
        return step.for_decoder(uniform(derive_seed(name, seed, view), epoch, indices, step.draws))

    def ready(self, uniforms: Mapping[str, Floats], pixels: Tensor) -> Drawn:
        """Return random numbers ready for use; those of a whole epoch are moved to the device at once.

        Args:
            uniforms: As :meth:`draw` gives them, by name, shape (N, draws).
        """
        return Drawn({name: self._steps[name].prepare(numbers, pixels) for name, numbers in uniforms.items()})

    def apply(self, pixels: Tensor, drawn: Drawn) -> Tensor:
        """Augment and normalize a batch, cut out of its images already, with given random numbers."""
        if pixels.dtype != torch.uint8 or pixels.dim() != 4 or pixels.shape[1] != len(self._facts.mean):
            raise ValueError(f"pixels must be uint8 of shape (B, {len(self._facts.mean)}, height, width), got {pixels.dtype} "
                             f"{tuple(pixels.shape)}")
        images, normalized = pixels, False
        for name, numbers in drawn.numbers.items():
            step = self._steps[name]
            if step.normalized and not normalized:
                images, normalized = normalize(images, self._facts.mean, self._facts.std), True
            changed = step(images, numbers)
            if changed.dtype != images.dtype or changed.shape != images.shape:
                raise ValueError(f"augmentation {name!r} must return {images.dtype} of shape {tuple(images.shape)}, got "
                                 f"{changed.dtype} {tuple(changed.shape)}")
            images = changed
        if not normalized:
            images = normalize(images, self._facts.mean, self._facts.std)
        return images.contiguous(memory_format=torch.channels_last)  # last: the steps before are quicker on planes


def plain_view(dataset: Dataset) -> View:
    """Return the view of images as they are: normalization alone."""
    return View({}, facts_of(dataset))
