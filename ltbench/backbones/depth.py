"""How deep each parameter of a backbone lies, for learning rates that fall with depth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from torch import nn

from ltbench.errors import UserError

_HEAD = "?"  # no name of a parameter: what timm's patterns do not know lies above all layers, as a classifier does


def depth_factors(backbone: nn.Module, decay: float) -> dict[int, float]:
    """Return what each parameter has of the head's learning rate, by its id; what is not named lies beside the head.

    Layers are those by which timm groups a model's parameters: the stem, each block, and what follows the blocks.

    Args:
        backbone: Holds models of timm, whole ones.
        decay: From each layer to the one below.

    Raises:
        UserError: If there is no such model in it.
    """
    models: list[Any] = [module for module in backbone.modules() if hasattr(module, "group_matcher")]
    if not models:
        raise UserError("--layer-decay needs a backbone that is a whole model of timm, which says what its layers are")
    from timm.models import group_parameters  # takes seconds, which runs of other backbones need not wait

    factors: dict[int, float] = {}
    for model in models:
        named = dict(model.named_parameters())
        with_head = SimpleNamespace(named_parameters=lambda named=named: [*named.items(), (_HEAD, None)])
        layers = group_parameters(cast(nn.Module, with_head), model.group_matcher(coarse=False), reverse=True)
        factors |= {id(parameter): decay ** (layers[_HEAD] - layers[name]) for name, parameter in named.items()}
    return factors
