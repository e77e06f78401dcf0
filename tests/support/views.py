"""Views of images as a plan makes them, with facts that a test chooses."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, cast

from ltbench.data.view import View
from ltbench.planning.augmentations import make_view
from ltbench.registry.discovery import Registry, load_registry


@functools.cache
def installed() -> Registry:
    return load_registry(strict=False)


def view_of(names: tuple[str, ...], padding: int, mean: tuple[float, ...], std: tuple[float, ...], size: int = 32, *,
         decoded: bool = False) -> View:
    """Return the view of made-up images."""
    dataset = SimpleNamespace(image_size=size, channels=len(mean), crop_padding=padding, mean=mean, std=std,
                              resized=size if decoded else None)
    return make_view(names, cast(Any, dataset), installed())
