"""AdaptFormer: a bottleneck beside the perceptron of every block (Chen et al., 2022, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_adaptation.blocks import adapt

Norm = Literal["shared", "own", "none"]


class Bottleneck(nn.Module):
    """Hold s ReLU(x W_down) W_up, which is 0 at the start.

    Args:
        norm: Of x: a layer norm of its own, or none.
        scale: s.
        learn_scale: Whether s is trained.
    """

    def __init__(self, width: int, hidden: int, *, norm: bool = False, scale: float = 0.1, learn_scale: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.down = nn.Linear(width, hidden)
        self.up = nn.Linear(hidden, width)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.scale: nn.Parameter | float = scale
        if learn_scale:
            self.scale = nn.Parameter(self.up.bias.new_full((), scale))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what is added to tokens, shape (B, tokens, width)."""
        added: Tensor = self.scale * self.up(F.relu(self.down(self.norm(tokens))))
        return added


class Beside(nn.Module):
    """Stand for norm, perceptron and layer scale of a block, with a bottleneck beside them.

    Args:
        norm: The block's norm before its perceptron, which reads the same tokens as the bottleneck.
        layer_scale: By which the block multiplies what its perceptron gives, and not the bottleneck.
        shared: Whether the bottleneck reads normalized tokens.
    """

    def __init__(self, norm: nn.Module, mlp: nn.Module, layer_scale: nn.Module, bottleneck: Bottleneck, *, shared: bool) -> None:
        super().__init__()
        self.norm = norm
        self.mlp = mlp
        self.layer_scale = layer_scale
        self.bottleneck = bottleneck
        self.shared = shared

    def forward(self, tokens: Tensor) -> Tensor:
        """Return MLP(LN(x)) + s ReLU(LN(x) W_down) W_up, to be added to x: eqs. 2 and 3."""
        normalized = self.norm(tokens)
        given: Tensor = self.layer_scale(self.mlp(normalized)) + self.bottleneck(normalized if self.shared else tokens)
        return given


def add_bottlenecks(transformer: nn.Module, hidden: int, *, norm: Norm, scale: float,
                    learn_scale: bool = False) -> Sequence[nn.Parameter]:
    """Put a bottleneck beside the perceptron of every block, in place; return what is to be trained.

    Args:
        hidden: Width of the bottlenecks.
        norm: What they read: tokens behind the block's own norm, behind a norm of theirs, or as they are.
    """
    added: list[nn.Parameter] = []
    for block in transformer.blocks:  # type: ignore[union-attr]  # what makes it a transformer
        width = next(parameter.shape[-1] for parameter in block.norm2.parameters())
        bottleneck = Bottleneck(width, hidden, norm=norm == "own", scale=scale, learn_scale=learn_scale)
        block.mlp = Beside(block.norm2, block.mlp, getattr(block, "ls2", nn.Identity()), bottleneck, shared=norm == "shared")
        block.norm2 = nn.Identity()  # so that the tokens arrive as they are
        if hasattr(block, "ls2"):
            block.ls2 = nn.Identity()
        added += bottleneck.parameters()
    return added


class AdaptFormer(ltbench.Method):
    """Train a bottleneck beside the perceptron of every block, and the classifier.

    Args:
        hidden: Width of the bottlenecks.
        scale: s, by which they count.
        norm: What they read: ``shared``, tokens behind the block's own norm; ``own``, behind one of theirs, trained with them;
            ``none``, tokens as they are.
    """

    name = "adaptformer"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *,
                 hidden: Annotated[int, ltbench.Interval(ge=1), ltbench.Choice(4, 16, 64, 256)] = 64,
                 scale: Annotated[ltbench.Positive, ltbench.LogUniform(0.01, 1.0)] = 0.1, norm: Norm = "shared") -> None:
        super().__init__(facts)
        self.hidden = hidden
        self.scale = scale
        self.norm: Norm = norm

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the backbone, frozen but for what is added."""
        return adapt(make, self.name, lambda transformer: add_bottlenecks(transformer, self.hidden, norm=self.norm,
                                                                          scale=self.scale))
