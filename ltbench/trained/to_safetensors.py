"""A model's weights as one safetensors file, with its card in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ltbench.trained.card import describe
from ltbench.trained.recall import Trained
from ltbench.training.files import save_tensors


def export_safetensors(trained: Trained, path: Path) -> Mapping[str, Any]:
    """Write backbone, head and methods of the stage that was trained last, and the methods that only change its predictions.

    Names are ``backbone.*``, ``head.*`` and ``methods.*``, as ``--stage1`` reads them, and ``stage<number>.methods.*`` of what
    stands above.

    Returns:
        The card.
    """
    card = describe(trained)
    save_tensors(path, _tensors(trained), card)
    return card


def _tensors(trained: Trained) -> dict[str, Tensor]:
    engine = trained.engine
    tensors: dict[str, Tensor] = {}
    while (below := engine.below) is not None:
        prefix = f"stage{engine.stack.stage}.methods."
        tensors |= {f"{prefix}{name}": value for name, value in engine.methods.state_dict().items()}
        engine = below
    return tensors | engine.state_dict()
