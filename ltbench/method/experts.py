"""Several networks side by side: a backbone and a head for experts, branches, and teachers that are trained together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ltbench.method.values import Output


class ExpertBackbone(nn.Module):
    """Put the embeddings of several experts side by side, in the order of the experts.

    Experts are last stages that share a trunk, or whole networks that share nothing. A step that shows each of them other images
    calls the trunk and the experts itself.

    Args:
        experts: Each from the trunk's maps to an embedding (B, d).
        width: d.
        trunk: Images (B, channels, H, W) -> maps; None where the experts read images.
    """

    feature_dim: int

    def __init__(self, experts: Sequence[nn.Module], width: int, trunk: nn.Module | None = None) -> None:
        super().__init__()
        self.trunk = nn.Identity() if trunk is None else trunk
        self.experts = nn.ModuleList(experts)
        self.feature_dim = width * len(experts)

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings, shape (B, E d)."""
        maps = self.trunk(images)
        return torch.cat([expert(maps) for expert in self.experts], dim=1)


class ExpertHead(nn.Module):
    """Give every expert a classifier of its own, and average their logits.

    Args:
        classifiers: Each from features (B, d) to logits (B, C).
    """

    def __init__(self, classifiers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(classifiers)

    def forward(self, embedding: Tensor) -> Output:
        """Return the mean logits; ``extra`` holds ``expert_features`` (B, E, d) and ``expert_logits`` (B, E, C)."""
        parts = embedding.chunk(len(self.classifiers), dim=1)
        logits = torch.stack([classify(part) for classify, part in zip(self.classifiers, parts, strict=True)], dim=1)
        return Output(embedding, embedding, logits.mean(dim=1),
                      {"expert_features": torch.stack(parts, dim=1), "expert_logits": logits})
