"""Embed images with a backbone that does not change meanwhile: batch norm folded, a few images at a time, in bf16 where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ltbench.data.parts import ImageSource
from ltbench.data.task_data import TaskData
from ltbench.data.view import plain_view
from ltbench.training.engine import Engine
from ltbench.training.folding import fold_batch_norm

_CHECKED = 4  # images that a folded copy is compared on
# Pixels that a CPU embeds at once. ResNet-32 takes as long for 100 images of 32 x 32 as for 64, and a quarter more for 500: their
# maps no longer fit into the caches.
_AT_ONCE = 64 * 32 * 32


def evaluation_precision(accelerator: Accelerator) -> str:
    """Return the precision of the backbone on test images, ``bf16`` or ``fp32``; all behind it is at least fp32.

    fp16 has fewer exponents than what was trained: activations that overflow would change predictions.
    """
    return "bf16" if accelerator.mixed_precision == "bf16" else "fp32"


class Embedder:
    """Embed images in a backbone's place. Free it afterwards: it may hold a copy of the backbone.

    Args:
        backbone: In evaluation mode; it is not changed.
        source: The part whose first images a folded copy is checked on: the same ones on every process, so that all decide alike.
        precision: Of the backbone, ``fp32`` or ``bf16``.
    """

    def __init__(self, backbone: nn.Module, data: TaskData, device: torch.device, source: ImageSource, indices: Tensor,
                 precision: str = "fp32") -> None:
        def images() -> Tensor:
            plain = plain_view(data.dataset)
            return plain(source.fetch(indices[:_CHECKED]).to(device), indices[:_CHECKED], 0, 0)

        self._network = fold_batch_norm(backbone, images)
        self._half = precision == "bf16"

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return embeddings, float32, shape (B, D).

        Args:
            images: Normalized, shape (B, channels, height, width).
        """
        parts = [images]
        if images.device.type == "cpu":
            parts = list(torch.split(images, max(8, _AT_ONCE // (images.shape[2] * images.shape[3]))))
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._half):
            return torch.cat([self._network(part).float() for part in parts])


@contextmanager
def embedding_with(engine: Engine, embedder: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let an engine, or the one that speaks for it, read images through an embedder for a while."""
    trained = engine.trained
    trained.embedder = embedder
    try:
        yield
    finally:
        trained.embedder = None
