"""The network of checks of methods that work on vision transformers alone; it has no batch norm either."""

from __future__ import annotations

from timm.models import VisionTransformer

from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_family import TimmBackbone

_WIDTH = 64  # as the network for digits


def build(request: BackboneRequest) -> TimmBackbone:
    """Build two blocks of four heads on patches of 2 x 2 pixels."""
    model = VisionTransformer(request.image_size, 2, request.channels, 0, embed_dim=_WIDTH, depth=2, num_heads=4, mlp_ratio=2.0)
    return TimmBackbone(model, _WIDTH)
