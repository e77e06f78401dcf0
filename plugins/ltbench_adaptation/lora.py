"""LoRA: low-rank adaptation (Hu et al., 2022, section 4.1, eq. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench_adaptation.blocks import adapt

Part = Literal["q", "k", "v", "o"]
_FUSED = ("q", "k", "v")  # the order of a projection that makes all three


class LowRank(nn.Module):
    """Hold B A, of which B is 0 at the start.

    Args:
        scale: alpha / r.

    Attributes:
        down: A, shape (r, inputs).
        up: B, shape (outputs, r).
    """

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.empty(rank, inputs).uniform_(-(inputs**-0.5), inputs**-0.5))  # as a linear layer's
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return scale B A x, shape (..., outputs)."""
        return self.scale * F.linear(F.linear(inputs, self.down), self.up)

    @property
    def weight(self) -> Tensor:
        """The product, shape (outputs, inputs)."""
        return self.scale * self.up @ self.down


class LowRankLinear(nn.Module):
    """Add products of low rank to a fixed linear layer, or to some of the parts that it makes.

    Args:
        linear: Its outputs are ``parts`` of one width, one after the other.
        products: By the part that each is added to.
        parts: How many there are.
    """

    def __init__(self, linear: nn.Linear, products: Mapping[int, LowRank], parts: int = 1) -> None:
        super().__init__()
        self.linear = linear
        self.parts = parts
        self.products = nn.ModuleDict({str(part): product for part, product in products.items()})

    def forward(self, inputs: Tensor) -> Tensor:
        """Return W x + scale B A x, shape (..., outputs)."""
        made = list(self.linear(inputs).chunk(self.parts, dim=-1))
        for part, product in self.products.items():
            made[int(part)] = made[int(part)] + product(inputs)
        return torch.cat(made, dim=-1)

    @property
    def weight(self) -> Tensor:
        """W + scale B A, for models that read the weight of a layer themselves; shape (outputs, inputs)."""
        rows = list(self.linear.weight.chunk(self.parts))
        for part, product in self.products.items():
            rows[int(part)] = rows[int(part)] + product.weight  # type: ignore[operator]  # a LowRank
        return torch.cat(rows)

    @property
    def bias(self) -> Tensor | None:
        """That of the fixed layer."""
        return self.linear.bias


class LowRankAdaptation(ltbench.Method):
    """Train products of low rank beside fixed weights of every block's attention, and the classifier.

    Args:
        rank: r, of each product.
        alpha: Products are multiplied by alpha / r.
        weights: Which they are added to: of queries ``q``, keys ``k``, values ``v``, and of what attention gives, ``o``.
    """

    name = "lora"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, rank: Annotated[int, ltbench.Interval(ge=1), ltbench.Choice(2, 4, 8, 16)] = 8,
                 alpha: ltbench.Positive = 8.0, weights: tuple[Part, ...] = ("q", "v")) -> None:
        super().__init__(facts)
        if not weights or len(set(weights)) < len(weights):
            raise ValueError(f"weights must be one or more of q, k, v and o, each once, got {list(weights)}")
        self.rank = rank
        self.scale = alpha / rank
        self.weights = weights

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        """Return the backbone, frozen but for what is added."""
        return adapt(make, self.name, self._change)

    def _change(self, transformer: nn.Module) -> Sequence[nn.Parameter]:
        added: list[LowRank] = []
        for block in transformer.blocks:  # type: ignore[union-attr]  # what makes it a transformer
            attention = block.attn
            fused = [part for part in self.weights if part in _FUSED]
            if fused and isinstance(getattr(attention, "qkv", None), nn.Linear):
                products = {_FUSED.index(part): self._product(attention.qkv, 3, added) for part in fused}
                attention.qkv = LowRankLinear(attention.qkv, products, 3)
            else:  # three layers
                for part in fused:
                    self._replace(attention, f"{part}_proj", added)
            if "o" in self.weights:
                self._replace(attention, "proj", added)
        return [parameter for product in added for parameter in product.parameters()]

    def _replace(self, attention: nn.Module, name: str, added: list[LowRank]) -> None:
        layer = getattr(attention, name, None)
        if not isinstance(layer, nn.Linear):
            raise ValueError(f"their {type(attention).__name__} has no linear layer {name}")
        setattr(attention, name, LowRankLinear(layer, {0: self._product(layer, 1, added)}))

    def _product(self, layer: nn.Linear, parts: int, added: list[LowRank]) -> LowRank:
        added.append(LowRank(layer.in_features, layer.out_features // parts, self.rank, self.scale))
        return added[-1]
