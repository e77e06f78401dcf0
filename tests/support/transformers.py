"""Small vision transformers for 8 x 8 digits: of timm's kinds, and one that was trained on balanced digits."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import VisionTransformer
from torch import Tensor, nn

import ltbench
from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_family import TimmBackbone
from ltbench.data.digits import DigitsLT
from ltbench.data.task_data import load_parts
from ltbench.data.view import plain_view
from ltbench.method.factories import BackboneFactory
from ltbench.testing import transformer

WIDTH, BLOCKS, TOKENS = 64, 2, 17  # of the kit's transformer: 4 x 4 patches and a class token
PRETRAINED = "digits_transformer"
SHAPE = (1, 8, 8)


def tiny(**changes: Any) -> VisionTransformer:
    """Return a transformer like the kit's, with other weights wherever timm starts with zeros or ones."""
    options: dict[str, Any] = {"embed_dim": WIDTH, "depth": BLOCKS, "num_heads": 4, "mlp_ratio": 2.0, **changes}
    model = VisionTransformer(8, 2, 1, 0, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def make(model: nn.Module) -> BackboneFactory:
    """Return a factory that gives a model."""
    return BackboneFactory("tiny", lambda: TimmBackbone(model, WIDTH), SHAPE)


def facts(classes: int = 10) -> ltbench.Facts:
    return ltbench.Facts(torch.arange(classes, 0, -1) * 3, WIDTH, 2, tuple(map(str, range(classes))))


def images(count: int = 3) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(0))


def trained_names(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def trained_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@functools.cache
def pretrained() -> dict[str, Tensor]:
    """Train the kit's transformer on all digits but the test images, as many of each class, for a few seconds."""
    parts, plain = load_parts(DigitsLT(), None, download=False), plain_view(DigitsLT())
    with torch.random.fork_rng(), torch.device("cpu"):  # whatever it is asked for first
        torch.manual_seed(0)
        backbone, head = transformer.build(BackboneRequest("any", 1, 8)), nn.Linear(WIDTH, 10)
        optimizer = torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=2e-3)
        positions = torch.arange(len(parts.train.labels))
        pixels, labels = plain(parts.train.fetch(positions), positions, 0, 0), parts.train.labels
        for _ in range(12):
            for batch in torch.randperm(len(labels)).split(64):
                loss = F.cross_entropy(head(backbone(pixels[batch])), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return {name: value.detach().clone() for name, value in backbone.state_dict().items()}


def build(request: BackboneRequest) -> TimmBackbone:
    """Build the trained one."""
    backbone = transformer.build(request)
    if not next(backbone.parameters()).is_meta:  # planned: there are no numbers
        backbone.load_state_dict(pretrained())
    return backbone


@ltbench.hookimpl
def ltbench_backbones() -> list[ltbench.BackboneSpec]:
    return [ltbench.BackboneSpec(PRETRAINED, "tests.support.transformers:build", "trained on balanced digits")]
