"""The parts of a dataset: images that can be fetched, with labels, in memory or on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface
from typing import Self, runtime_checkable

import torch
from torch import Tensor

from ltbench.data.arrays import Ints


class ImageSource(Interface):
    """Give access to the images of one part, in memory or on disk."""

    @property
    def labels(self) -> Tensor:
        """Class of every image, int64, shape (N,)."""
        ...

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the images at positions in this part, int64, shape (B,), as uint8, shape (B, channels, height, width)."""
        ...


@runtime_checkable
class Fingerprinted(Interface):
    """Tell images apart that one dataset's name may stand for: a list says which there are, and lists differ.

    A source with this property enters the hash of the split and the keys of what is stored.
    """

    @property
    def fingerprint(self) -> str:
        """Return a digest of which images these are, and of their labels; no path of a machine enters it."""
        ...


@dataclass(frozen=True, eq=False)
class TensorImages:
    """Hold a whole small part as one uint8 tensor.

    Args:
        pixels: uint8, shape (N, channels, height, width).
        labels: int64, shape (N,).
    """

    pixels: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.dim() != 4:
            raise ValueError(f"pixels must be uint8 of shape (N, channels, height, width), got {self.pixels.dtype} "
                             f"{tuple(self.pixels.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(f"labels must be int64 of shape ({len(self.pixels)},), got {self.labels.dtype} "
                             f"{tuple(self.labels.shape)}")

    def in_channels(self, channels: int) -> Self:
        """Return gray images in that many equal channels, which takes no memory; others as they are."""
        if self.pixels.shape[1] != 1:
            return self
        return replace(self, pixels=self.pixels.expand(-1, channels, -1, -1))

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``, shape (B, channels, height, width)."""
        # index_select copies whole images: 15 times quicker than pixels[indices] here, for 128 images of 32 x 32.
        return self.pixels.index_select(0, indices.to(self.pixels.device))


@dataclass(frozen=True, eq=False)
class Parts:
    """Hold the parts of a dataset before any long-tailed selection.

    Args:
        test: What is tested on, once.
        val: The set's own validation part, where it has one beside the test part; no training and no test reads it.
        val_problem: Why a validation part that is there cannot be read, for whoever asks for it.
        shifts: Published label-shifted test sets that are there: by name (``forward50``), positions in the test part, int64.
    """

    train: ImageSource
    test: ImageSource
    val: ImageSource | None = None
    shifts: Mapping[str, Ints] = field(default_factory=dict, kw_only=True)
    val_problem: str | None = field(default=None, kw_only=True)
