"""The file of tensors beside a record: safetensors, which can run no code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ltbench.results.schema import GeometryFile

if TYPE_CHECKING:
    from torch import Tensor


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a file that holds tensors by name."""
    from safetensors.torch import save

    return save({name: tensor.contiguous().clone() for name, tensor in tensors.items()})


def entry_of(file: str, content: bytes, tensors: Mapping[str, Tensor]) -> GeometryFile:
    """Return what a record says of the file of that name and content."""
    digest = hashlib.sha256(content).hexdigest()
    return GeometryFile(file=file, sha256=digest, holds="features" if "train.features" in tensors else "statistics")
