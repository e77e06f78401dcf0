"""Small timm models, trained here for the tests of weights from elsewhere, for none can be downloaded."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import resize

from ltbench.data.digits import DigitsLT

SIZE = 160  # of timm's test models, whose mean and standard deviation are 0.5


FILTERS = {"test_resnet": "bilinear", "test_vit": "bicubic"}


def seen(pixels: Tensor, name: str, size: int = SIZE) -> Tensor:
    """Prepare gray digits as a model's weights want them: scaled before they are normalized, which ltbench does after."""
    scaled = resize(pixels.repeat(1, 3, 1, 1).float() / 255, [size, size], InterpolationMode(FILTERS[name]), antialias=True)
    return (scaled.clamp(0, 1) - 0.5) / 0.5


def train(name: str, file: Path, *, steps: int, lr: float, size: int = SIZE) -> None:
    """Train a timm model on the first half of the digits' training pool, and write its weights, classifier included.

    Args:
        steps: Batches of 32 images.
        size: Height and width that images are scaled to.
    """
    part = DigitsLT().load(None).train
    half = len(part.labels) // 2
    pixels, labels = part.fetch(torch.arange(half)), part.labels[:half]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = timm.create_model(name, num_classes=10).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        for _ in range(steps):
            chosen = torch.randint(half, (32,))
            loss = F.cross_entropy(model(seen(pixels[chosen], name, size)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, file)
