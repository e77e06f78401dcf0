"""The file of tensors beside a record: safetensors, which can run no code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a file that holds tensors by name."""
    from safetensors.torch import save

    return save({name: tensor.contiguous().clone() for name, tensor in tensors.items()})


def entry_of(file: str, content: bytes, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a record says of the file.

    Args:
        file: Its name.
        content: Its bytes.
        tensors: What it holds.
    """
    holds = "features" if "train.features" in tensors else "statistics"
    return {"file": file, "sha256": hashlib.sha256(content).hexdigest(), "holds": holds}
