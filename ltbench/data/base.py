"""What a dataset is: two parts of images with labels, how they are normalized, and what each protocol means for it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ltbench.errors import UserError
from ltbench.terms.protocol import Protocol

if TYPE_CHECKING:
    from ltbench.data.parts import Parts
    from ltbench.data.published import Published


class Dataset(ABC):
    """Describe one dataset; a plugin's :class:`ltbench.DatasetSpec` points to a callable that returns one.

    Attributes:
        name: The same as the spec's.
        mean: Per channel, of pixels scaled to [0, 1].
        image_size: Height and width after the training crop.
        crop_padding: Zeros that the ``crop`` augmentation puts around an image before it cuts the old size out again.
        resized: What the shorter side of an image file is scaled to where no window of it is taken; None where images are in
            memory, and have one size.
        interpolation: What image files are scaled with, ``bilinear`` or ``bicubic``, both with antialiasing.
        crop_mode: ``center``, or ``squash``, where both sides of an image file are scaled to ``resized``, whatever its shape.
        max_per_class: n_max of the long-tailed construction: the images of the largest class. None where the training part
            is used as it is.
        published: Images of each class as its authors give them, so that a run can be planned where the data is not; None where
            nobody gives them.
        images: Digest of the images, where the name does not say which they are, so that two sets of one name stay apart.
        official: Whether the parts are those that others published, without class counts to stand in ``published``: images that
            stand in two of them are told, not refused, for no user can mend it.
        shift_ratios: Of the label-shifted test sets, both forward and backward.
        steps: How a person gets the data where ltbench may not download it, for ``ltbench data get``: one step a text, with
            ``DATA`` for the folder that ``--data-root`` or ``LTBENCH_DATA`` names.
    """

    name: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int
    crop_padding: int = 4
    resized: int | None = None
    interpolation: str = "bilinear"
    crop_mode: str = "center"
    max_per_class: int | None = None
    protocols: Mapping[str, Protocol]
    published: Published | None = None
    images: str | None = None
    official: bool = False
    shift_ratios: tuple[int, ...] = (2, 5, 10, 25, 50)
    steps: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return len(self.mean)

    def at_size(self, size: int) -> Self:
        """Return the same set with its image files decoded to another size; the padding of a crop grows with it.

        Raises:
            UserError: If images are in memory, in another size.
        """
        if size == self.image_size:
            return self
        if self.resized is None:
            raise UserError(f"--image-size must be left out for {self.name!r}, whose images are in memory at {self.image_size} x "
                            f"{self.image_size} pixels, got {size}")
        other = copy.copy(self)
        other.image_size, other.resized = size, round(size * self.resized / self.image_size)
        other.crop_padding = max(1, round(size * self.crop_padding / self.image_size))
        return other

    @abstractmethod
    def load(self, root: Path | None, *, download: bool = False) -> Parts:
        """Read both parts.

        Args:
            root: The folder that the user keeps data in; None if none was given.

        Raises:
            MissingData: If the data is not there, saying how to get it.
            UserError: If it is damaged, naming the file.
        """
