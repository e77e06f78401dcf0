"""Images in files, decoded when they are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ltbench.data.arrays import Floats, Ints
from ltbench.data.paths import Paths
from ltbench.data.windows import plain_size, random_window
from ltbench.errors import UserError


@dataclass(frozen=True, eq=False)
class FileImages:
    """Read images from files: gray and CMYK ones become RGB.

    Args:
        paths: Of the files.
        labels: int64, shape (N,).
        size: Height and width of what is returned, s.
        resized: What the shorter side is scaled to before the middle is cut out, where no window is given.
        content: Digest of what the files hold, where their names do not say it: a user's own have no official form.
    """

    paths: Paths
    labels: Tensor
    size: int
    resized: int
    content: str = ""

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.shape != (len(self.paths),):
            raise ValueError(f"labels must be int64 of shape ({len(self.paths)},), got {self.labels.dtype} "
                             f"{tuple(self.labels.shape)}")
        if not 1 <= self.size <= self.resized:
            raise ValueError(f"size must be 1 to {self.resized}, got {self.size}")

    @cached_property
    def fingerprint(self) -> str:
        """Return the sha256 of the files' names within the set, in order, and of their labels."""
        digest = hashlib.sha256(self.paths.digest.encode())
        digest.update(self.labels.numpy().astype("<i8").tobytes())
        digest.update(self.content.encode())
        return digest.hexdigest()

    def take(self, indices: Tensor) -> FileImages:
        """Return some of the images.

        Args:
            indices: Positions in this part, int64, shape (B,).
        """
        return replace(self, paths=self.paths.take(indices.tolist()), labels=self.labels[indices])

    def require_ends(self) -> None:
        """Look for the first and the last file: where a folder is missing, one of them is, and a training need not find it out.

        Raises:
            UserError: If one is not there, naming it.
        """
        for index in (0, len(self.paths) - 1):
            path = self.paths[index]
            if not Path(path).is_file():
                # A user's own are where the typed path says.
                hint = "" if self.content else "; say where the images are with --data-root or LTBENCH_DATA"
                raise UserError(f"image {path!r} is not there{hint}")

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the middles of the images at ``indices``, uint8, shape (B, 3, s, s)."""
        return self.decode(indices.cpu().numpy(), (None,))[0]

    def decode(self, indices: Ints, windows: Sequence[Floats | None]) -> list[Tensor]:
        """Return views of images, each file decoded once.

        Args:
            indices: Positions in this part, int64, shape (B,).
            windows: For each view None, which takes the middle, or the random numbers of its windows, shape (B, 22).

        Returns:
            uint8, shape (B, 3, s, s), for each view.

        Raises:
            UserError: If a file is missing or damaged, naming it.
        """
        # Assembled by numpy: torch's threads do not survive the fork that makes a worker.
        views = [np.empty((len(indices), self.size, self.size, 3), np.uint8) for _ in windows]
        for row, index in enumerate(indices.tolist()):
            image = _open(self.paths[index])
            for view, drawn in zip(views, windows, strict=True):
                cut = self._middle(image) if drawn is None else self._window(image, drawn[row])
                view[row] = np.asarray(cut)
        return [torch.from_numpy(view).permute(0, 3, 1, 2) for view in views]

    def _window(self, image: Image.Image, uniforms: Floats) -> Image.Image:
        left, top, width, height = random_window(uniforms, *image.size)
        # Cut first: a resize with a box would let the filter look past the window's edge.
        window = image.crop((left, top, left + width, top + height))
        return window.resize((self.size, self.size), Image.Resampling.BILINEAR)

    def _middle(self, image: Image.Image) -> Image.Image:
        wanted = plain_size(*image.size, self.resized)
        if wanted != image.size:
            image = image.resize(wanted, Image.Resampling.BILINEAR)
        left, top = (round((side - self.size) / 2) for side in image.size)
        return image.crop((left, top, left + self.size, top + self.size))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale gray values of 16 bits, which Pillow would cut off at 255; other images have 8 bits, or come with them."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))


def _open(path: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return _eight_bits(image).convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"image {path!r} is not there") from error
    except Exception as error:  # truncated and foreign files fail in as many ways as Pillow has decoders
        reason = (str(error).splitlines() or [""])[0].replace(path, "file").replace(repr(path), "file")
        raise UserError(f"image {path!r} cannot be read ({type(error).__name__}: {reason})") from error
