"""Which part of a backbone is a vision transformer: blocks in a row, each of attention and a perceptron."""

from __future__ import annotations

from torch import nn


def find_transformer(backbone: nn.Module) -> nn.Module | None:
    """Return the module whose ``blocks`` each have an ``attn`` and an ``mlp``, as those of timm.

    Returns:
        None without one, and where there are several: networks of stages, such as Swin, have one each.
    """
    found = [module for module in backbone.modules() if _has_blocks(module)]
    return found[0] if len(found) == 1 else None


def _has_blocks(module: nn.Module) -> bool:
    blocks = getattr(module, "blocks", None)
    return (isinstance(blocks, nn.Sequential | nn.ModuleList) and len(blocks) > 0 and
            all(isinstance(getattr(block, part, None), nn.Module) for block in blocks for part in ("attn", "mlp")))
