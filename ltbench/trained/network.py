"""A trained model as one module: normalized images in, logits out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltbench.data.view import plain_view
from ltbench.trained.recall import Trained
from ltbench.training.engine import Engine

_TRIED = 8  # test images on which another form of a model must agree with it


class Network(nn.Module):
    """Say what a run's last stage says, mirror image included where its protocol has it.

    Args:
        trained: Its engine is not changed.
    """

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.engine = trained.engine
        below: list[Engine] = []  # a stage that only changes predictions speaks through the one below it
        while (engine := (below or [trained.engine])[-1].below) is not None:
            below.append(engine)
        self.below = nn.ModuleList(below)
        self.flip = trained.flip
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits whose softmax is the probability, shape (B, C), of normalized images (B, channels, H, W)."""
        logits = self.engine.predict(images).float()
        if not self.flip:
            return logits
        both = torch.stack([logits, self.engine.predict(images.flip(3)).float()]).log_softmax(dim=2)
        return both.logsumexp(dim=0) - torch.tensor(2.0).log()


def some_images(trained: Trained) -> Tensor:
    """Return a few test images as the model is shown them, normalized, float32, on the CPU, shape (B, channels, H, W)."""
    positions = trained.data.test_indices[:_TRIED]
    return plain_view(trained.data.dataset)(trained.data.parts.test.fetch(positions).cpu(), positions, 0, 0)
