"""Any model of timm, randomly initialized and without its classifier."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ltbench.backbones.request import BackboneRequest
from ltbench.errors import UserError


class TimmBackbone(nn.Module):
    """Give a timm model the one attribute that ltbench reads.

    Args:
        model: Made with ``num_classes=0``, so that it returns what its classifier would read.
        feature_dim: D, the width of that.
    """

    feature_dim: int

    def __init__(self, model: nn.Module, feature_dim: int) -> None:
        super().__init__()
        self.model = model
        self.feature_dim = feature_dim

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D)."""
        embedding: Tensor = self.model(images)
        return embedding


def _create(request: BackboneRequest) -> nn.Module:
    # Names of the hub ("hf-hub:...", "a/b") would fetch a configuration from the network: only timm's own names are known here.
    if not timm.is_model(request.name):
        near = difflib.get_close_matches(request.name, timm.list_models(), n=3)
        hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "; timm.list_models() lists them all"
        raise UserError(f"unknown timm model {request.name!r}{hint}")
    name, channels = request.name, request.channels
    # Position embeddings and attention windows are laid out for one size; convolutional models take any and know no img_size.
    cfg = timm.get_pretrained_cfg(request.name)
    if cfg is not None and cfg.fixed_input_size:
        try:
            return timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels, img_size=request.image_size)
        except TypeError:
            pass  # this one cannot be laid out anew: the trial below says whether the size happens to fit
    return timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels)


def build(request: BackboneRequest) -> TimmBackbone:
    """Build a timm model and prove, on one blank image, that it gives features of the width that timm names.

    Args:
        request: Its name is timm's, for example ``resnet50`` or ``swin_tiny_patch4_window7_224``.

    Raises:
        UserError: If timm does not know the name, or the model cannot read images of this size.
    """
    size = request.image_size
    try:
        model = _create(request)
        # After a hidden layer in the head (VGG, MobileNetV3) the features are wider than the last maps.
        width: Any = getattr(model, "head_hidden_size", None) or model.num_features
        feature_dim = int(width)
        model.eval()  # batch norm would otherwise count the blank image
        with torch.no_grad():
            shape = tuple(model(torch.zeros(1, request.channels, size, size)).shape)
    except UserError:
        raise
    except Exception as error:  # timm's models refuse a size in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"timm:{request.name} cannot read images of {size} x {size} pixels: {reason}") from error
    if shape != (1, feature_dim):
        raise UserError(f"timm:{request.name} must give one vector of {feature_dim} features an image, got shape {shape[1:]}")
    model.train()
    return TimmBackbone(model, feature_dim)
