"""Any model of timm, without its classifier; randomly initialized, or with weights that are handed to it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.models.resnet import ResNet
from torch import Tensor, nn

from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.split import check_stages
from ltbench.errors import UserError

_WIDTHS = (64, 128, 256, 512)  # of a ResNet's stages, before a bottleneck's expansion


class TimmBackbone(nn.Module):
    """Give a timm model the one attribute that ltbench reads.

    Args:
        model: Made with ``num_classes=0``, so that it returns what its classifier would read.

    Attributes:
        scale: What brings images to the model's size; None where they come in it.
    """

    feature_dim: int
    scale: nn.Module | None

    def __init__(self, model: nn.Module, feature_dim: int) -> None:
        super().__init__()
        self.model = model
        self.feature_dim = feature_dim
        self.register_module("scale", None)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, D)."""
        embedding: Tensor = self.model(images if self.scale is None else self.scale(images))
        return embedding


class TimmResNet(TimmBackbone):
    """Split a ResNet or ResNeXt of timm before its last stages, so that experts and branches can have some each."""

    def __init__(self, model: nn.Module, feature_dim: int, request: BackboneRequest) -> None:
        super().__init__(model, feature_dim)
        self._request = request

    # Properties, not submodules: every parameter keeps timm's own name, and has one name only.
    @property
    def trunk(self) -> nn.Sequential:
        """All before the last stage; shares its parameters with the model."""
        return self.trunk_of(1)

    def trunk_of(self, stages: int = 1) -> nn.Sequential:
        """Return all before the last stages; shares its parameters with the model."""
        check_stages(self, stages, 3)
        model: Any = self.model  # timm declares no type of its parts
        kept = (model.layer1, model.layer2, model.layer3)[:4 - stages]
        scale = [] if self.scale is None else [self.scale]
        return nn.Sequential(*scale, model.conv1, model.bn1, model.act1, model.maxpool, *kept)

    @property
    def last_stage(self) -> nn.Module:
        """The fourth stage; shares its parameters with the model."""
        model: Any = self.model
        stage: nn.Module = model.layer4
        return stage

    def make_last_stage(self, width: float = 1.0, stages: int = 1) -> nn.Module:
        """Build one more last stage, or more of them, with fresh weights, for an expert or a branch."""
        check_stages(self, stages, 3)
        channels = (*_WIDTHS[:4 - stages], *(max(1, round(own * width)) for own in _WIDTHS[4 - stages:]))
        # timm builds no stage alone; the rest of the model is dropped.
        model: Any = timm.create_model(self._request.name, pretrained=False, num_classes=0, in_chans=self._request.channels,
                                       channels=channels)
        stage: nn.Module = model.layer4
        return stage if stages == 1 else nn.Sequential(*(model.layer2, model.layer3)[3 - stages:], stage)

    def pool(self, maps: Tensor) -> Tensor:
        """Average maps (B, D, h, w) over space, shape (B, D)."""
        model: Any = self.model
        embedding: Tensor = model.global_pool(maps)
        return embedding


def create(request: BackboneRequest, tensors: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Build a timm model without its classifier.

    Args:
        tensors: Weights to give it, by the names that their authors or timm use; None for random ones. What a file has too much,
            such as a classifier, is left out, and so is what it lacks.

    Raises:
        UserError: If timm does not know the name.
    """
    # Names of the hub ("hf-hub:...", "a/b") would fetch a configuration from the network: only timm's own names are known here.
    if not timm.is_model(request.name):
        near = difflib.get_close_matches(request.name, timm.list_models(), n=3)
        hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "; timm.list_models() lists them all"
        raise UserError(f"unknown timm model {request.name!r}{hint}")
    try:
        cfg = timm.get_pretrained_cfg(request.name)
    except RuntimeError as error:  # of an unknown tag behind the name's dot
        raise UserError(f"unknown timm model {request.name!r}: {error}") from error
    parts: dict[str, Any] = {"num_classes": 0, "in_chans": request.channels}
    if tensors is not None:
        # Another number of classes than ours, 0, makes timm drop the classifier and load the rest without being strict.
        overlay = {"state_dict": dict(tensors), "num_classes": 1, "classifier": (cfg and cfg.classifier) or "head"}
        parts |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    # Position embeddings and attention windows are laid out for one size; convolutional models take any and know no img_size.
    if cfg is not None and cfg.fixed_input_size:
        try:
            return timm.create_model(request.name, **parts, img_size=request.image_size)
        except TypeError:
            pass  # this one cannot be laid out anew: the trial of build() says whether the size happens to fit
    return timm.create_model(request.name, **parts)


def build(request: BackboneRequest) -> TimmBackbone:
    """Build a timm model and prove, on one blank image, that it gives features of the width that timm names.

    Models of timm's class ResNet (ResNets, ResNeXts and their kin of the usual widths) can be split before their last stage.

    Args:
        request: Its name is timm's, for example ``resnet50`` or ``swin_tiny_patch4_window7_224``.

    Raises:
        UserError: If timm does not know the name, or the model cannot read images of this size.
    """
    size = request.image_size
    try:
        model = create(request)
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
    return TimmResNet(model, feature_dim, request) if _splits(model) else TimmBackbone(model, feature_dim)


def _splits(model: Any) -> bool:
    """Say whether a model is all of a ResNet's usual parts: a dropout, or stages of other widths, would be lost in a copy."""
    kind = type(model)  # a class of its own may run its parts in another order
    if kind is not ResNet or model.drop_rate:
        return False
    for stage, width in zip((model.layer1, model.layer2, model.layer3, model.layer4), _WIDTHS, strict=True):
        block = stage[-1]
        last = block.conv3 if hasattr(block, "conv3") else block.conv2
        if last.out_channels != width * type(block).expansion:
            return False
    return True
