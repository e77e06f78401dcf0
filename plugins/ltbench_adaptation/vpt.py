"""Visual prompt tuning (Jia et al., 2022, section 3.2, eqs. 4 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn

import ltbench
from ltbench_adaptation.blocks import adapt


class Prompted(nn.Module):
    """Give a block prompts before its tokens, and leave them out of what it gives, or not.

    They come after all positions were added: to attention the order of tokens is nothing.

    Args:
        prompts: Shape (prompts, width).
        ends: Whether the block's output for them is dropped.
    """

    def __init__(self, block: nn.Module, prompts: nn.Parameter, *, ends: bool) -> None:
        super().__init__()
        self.block = block
        self.prompts = prompts
        self.ends = ends

    def forward(self, tokens: Tensor, *others: Any, **named: Any) -> Tensor:
        """Return the block's tokens, shape (B, tokens, width), or with as many more as there are prompts."""
        prompts = self.prompts.to(tokens.dtype).expand(len(tokens), -1, -1)
        given: Tensor = self.block(torch.cat([prompts, tokens], dim=1), *others, **named)
        return given[:, len(self.prompts):] if self.ends else given


class Ended(nn.Module):
    """Leave the first tokens out of what a block gives, so that no pooling sees them."""

    def __init__(self, block: nn.Module, count: int) -> None:
        super().__init__()
        self.block = block
        self.count = count

    def forward(self, tokens: Tensor, *others: Any, **named: Any) -> Tensor:
        """Return the block's tokens, shape (B, tokens - count, width)."""
        given: Tensor = self.block(tokens, *others, **named)
        return given[:, self.count:]


class VisualPrompts(ltbench.Method):
    """Train prompts, tokens that no image gives, and the classifier.

    Args:
        prompts: How many, in each block that gets its own.
        deep: Whether every block gets prompts of its own, in the place of what the block before made of its (eq. 7); else the
            first one's go through all blocks (eq. 5).
    """

    name = "vpt"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *,
                 prompts: Annotated[int, ltbench.Interval(ge=1), ltbench.Choice(1, 5, 10, 50, 100)] = 10,
                 deep: bool = True) -> None:
        super().__init__(facts)
        self.prompts = prompts
        self.deep = deep

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the backbone, frozen but for the prompts."""
        return adapt(make, self.name, self._change, starts_plain=False)

    def _change(self, transformer: Any) -> Sequence[nn.Parameter]:
        blocks = transformer.blocks
        patch = transformer.patch_embed.proj.weight  # (width, channels, height, width of a patch)
        bound = (6 / (patch[0].numel() + len(patch))) ** 0.5  # as Xavier's of the layer that makes tokens of patches
        added = [nn.Parameter(torch.empty(self.prompts, len(patch)).uniform_(-bound, bound))
                 for _ in range(len(blocks) if self.deep else 1)]
        for block in blocks:
            if hasattr(block.attn, "num_prefix_tokens"):  # which a rotation by position leaves as they are
                block.attn.num_prefix_tokens += self.prompts
        for place, prompts in enumerate(added):
            blocks[place] = Prompted(blocks[place], prompts, ends=self.deep)
        if not self.deep:
            blocks[-1] = Ended(blocks[-1], self.prompts)
        return added
