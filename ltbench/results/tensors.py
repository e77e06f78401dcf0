"""The file of tensors beside a record: safetensors, which can run no code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.results.reading import read_bytes

if TYPE_CHECKING:
    from torch import Tensor

_MAX_BYTES = 2**36  # features of 437,513 images, 2,048 wide, are 3.6 GB


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


def read_geometry(path: Path) -> dict[str, Tensor]:
    """Read the tensors that a run kept beside its record, see :mod:`ltbench.results.geometry`.

    Args:
        path: Of the record.

    Raises:
        UserError: If the record keeps none, or the file is missing, damaged or another than the record's.
    """
    from safetensors.torch import load

    from ltbench.results.records import read

    entry = read(path).get("geometry")
    if entry is None:
        raise UserError(f"record {path} keeps no geometry; run it again without --keep nothing")
    file = path.parent / entry["file"]
    try:
        content = read_bytes(file, _MAX_BYTES)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise UserError(f"geometry {file} is not the one that its record names (sha256 differs)")
        return dict(load(content))
    except OSError as error:
        raise UserError(f"geometry {file} cannot be read: {error.strerror}") from None
    except UserError:
        raise
    except Exception as error:  # whatever damaged bytes do to the reader
        raise UserError(f"geometry {file} is damaged ({type(error).__name__})") from None
