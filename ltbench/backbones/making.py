"""A registered backbone, made for the images of a dataset."""

from __future__ import annotations

from torch import nn

from ltbench.backbones.request import BackboneRequest
from ltbench.data.base import Dataset
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry


def make_backbone(name: str, dataset: Dataset, registry: Registry) -> nn.Module:
    """Build a backbone.

    Args:
        dataset: Its channels and image size are asked for.

    Raises:
        UserError: If there is no such backbone, or it has no ``feature_dim``.
    """
    entry, member = registry.backbone(name)
    backbone: nn.Module = entry.load()(BackboneRequest(member, dataset.channels, dataset.image_size))
    if not isinstance(getattr(backbone, "feature_dim", None), int):
        raise UserError(f"backbone {name!r} must have an int feature_dim, got {getattr(backbone, 'feature_dim', None)!r}")
    return backbone
