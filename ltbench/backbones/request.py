"""What a backbone's builder is told, and the one fact that is read of what it builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltbench.errors import UserError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class BackboneRequest:
    """Describe the backbone that is wanted and the images that it will see.

    A builder takes a request and returns an ``nn.Module`` with an integer attribute ``feature_dim`` (D) that maps images of
    shape (B, channels, image_size, image_size) to embeddings of shape (B, D). It draws its initial weights from torch's global
    generator and never seeds it.

    Args:
        name: The backbone's name; of a family (``timm:``), what followed the colon.
    """

    name: str
    channels: int
    image_size: int

    def __post_init__(self) -> None:
        if not self.name:
            raise UserError("a backbone's name must not be empty: a family such as timm: wants one after its colon")
        for field in ("channels", "image_size"):
            if getattr(self, field) < 1:
                raise UserError(f"{field} must be >= 1, got {getattr(self, field)}")


def feature_dim(backbone: nn.Module) -> int:
    """Return D, the width of a backbone's embeddings."""
    return int(backbone.feature_dim)  # type: ignore[arg-type]
