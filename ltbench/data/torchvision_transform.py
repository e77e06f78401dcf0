"""Any transform of torchvision's second version as an augmentation: ``torchvision:RandomPerspective(distortion_scale=0.3)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ltbench.data.augmentation import ImageFacts, OneByOne
from ltbench.errors import unknown


class TorchvisionTransform(OneByOne):
    """Apply a transform of ``torchvision.transforms.v2`` to one image after the other.

    It gets and must return a uint8 image of shape (channels, height, width), and may draw from torch's generator alone, as
    torchvision's own do.

    Args:
        member: Name of the transform's class.
        options: Its arguments, by name.

    Raises:
        UserError: If there is no such transform.
        ValueError: If it refuses its arguments.
    """

    def __init__(self, facts: ImageFacts, member: str, **options: Any) -> None:
        super().__init__(facts)
        from torchvision.transforms import v2

        known = {name: kind for name, kind in vars(v2).items()
                 if inspect.isclass(kind) and issubclass(kind, v2.Transform) and not inspect.isabstract(kind)}
        if member not in known:
            raise unknown("transform of torchvision.transforms.v2", member, known)
        try:
            make: Callable[..., Any] = known[member]
            self._transform = make(**options)
        except (TypeError, AssertionError) as error:
            raise ValueError(str(error)) from error

    def change(self, image: Tensor) -> Tensor:
        """Return what the transform makes of an image."""
        changed: Tensor = self._transform(image)
        return changed
