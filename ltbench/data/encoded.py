"""Images that lie somewhere as the bytes of JPEG and other files, decoded when they are wanted."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ltbench.data.arrays import Bytes, Floats, Ints
from ltbench.data.decoding import cut_middle, cut_window, read_picture
from ltbench.data.paths import Paths

END = 4096  # bytes: of a JPEG the last of its picture, of a PNG the last checksum of its pixels
# Of the files that pass for images among others: what Pillow opens that holds pictures and little else.
ENDINGS = (b".jpg", b".jpeg", b".png", b".webp", b".bmp", b".tif", b".tiff", b".gif", b".ppm", b".pgm", b".pbm", b".pnm", b".jpe",
           b".jfif", b".jp2", b".avif", b".tga")
USUAL = "images (.jpg, .png, .tif, .webp and others that Pillow opens)"


@dataclass(frozen=True, eq=False)
class EncodedImages(ABC):
    """Decode images: gray and CMYK ones become RGB.

    Args:
        labels: int64, shape (N,).
        size: Height and width of what is returned, s.
        resized: What the shorter side is scaled to before the middle is cut out, where no window is given.
        content: Digest of what the images hold, where their names do not say it: a user's own have no official form.
        interpolation: What images are scaled with, see :class:`ltbench.data.base.Dataset`, as ``crop_mode``.
        groups: Number of each image's group, shape (N,): where images are set apart, those of one group stay together. None where
            each image is a group of its own.
    """

    paths: Paths
    labels: Tensor
    size: int
    resized: int
    content: str = field(default="", kw_only=True)
    interpolation: str = field(default="bilinear", kw_only=True)
    crop_mode: str = field(default="center", kw_only=True)
    groups: Ints | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.paths),):
            raise ValueError(f"labels must be int64 of shape ({len(self.paths)},), got {self.labels.dtype} "
                             f"{tuple(self.labels.shape)}")
        if not 1 <= self.size <= self.resized:
            raise ValueError(f"size must be 1 to {self.resized}, got {self.size}")

    @cached_property
    def fingerprint(self) -> str:
        """Return the sha256 of the images' names within the set, in order, and of their labels."""
        digest = hashlib.sha256(self.paths.digest.encode())
        digest.update(self.labels.numpy().astype("<i8").tobytes())
        digest.update(self.content.encode())
        if self.groups is not None:  # which images may be held out together depends on them
            digest.update(np.ascontiguousarray(self.groups, dtype="<i8").tobytes())
        return digest.hexdigest()

    @abstractmethod
    def take(self, indices: Tensor) -> Self:
        """Return some of the images."""

    @abstractmethod
    def state(self) -> bytes:
        """Return what changes when an image does, without reading any."""

    @abstractmethod
    def read(self, index: int) -> Bytes:
        """Return an image's encoded bytes, shape (bytes,).

        Raises:
            UserError: If they cannot be had, naming the image.
        """

    @abstractmethod
    def read_end(self, index: int) -> Bytes:
        """Return the last bytes of an image, :data:`END` at most: they seldom agree where images differ, and cost one block.

        Raises:
            UserError: If they cannot be had, naming the image.
        """

    @abstractmethod
    def stored_bytes(self, index: int) -> int:
        """Return how many bytes an image has, without reading it."""

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the middles of the images at ``indices``, uint8, shape (B, 3, s, s)."""
        return self.decode(indices.cpu().numpy(), (None,))[0]

    def decode(self, indices: Ints, windows: Sequence[Floats | None]) -> list[Tensor]:
        """Return views of images, each image decoded once.

        Args:
            indices: Positions in this part, int64, shape (B,).
            windows: For each view None, which takes the middle, or the random numbers of its windows, shape (B, 22).

        Returns:
            uint8, shape (B, 3, s, s), for each view; channels-last in memory.

        Raises:
            UserError: If an image is missing or damaged, naming it.
        """
        views = [np.empty((len(indices), self.size, self.size, 3), np.uint8) for _ in windows]
        for row, index in enumerate(indices.tolist()):
            picture = read_picture(self.read(index), self.paths[index])
            for view, drawn in zip(views, windows, strict=True):
                cut = (cut_middle(picture, self.resized, self.size, self.interpolation, self.crop_mode) if drawn is None else
                       cut_window(picture, drawn[row], self.size, self.interpolation))
                view[row] = cut.permute(1, 2, 0).numpy()
        return [torch.from_numpy(view).permute(0, 3, 1, 2) for view in views]
