"""Prototypes that others made: the files of Saadabadi et al. (2024), which are theirs to give away."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path, PurePath

import torch
from torch import Tensor

import ltbench

_DIGITS = 16  # of the hash, at least
_LENGTH = 1e-2  # by which a prototype's may differ from 1; of the released ones' some are .9986


def read_prototypes(name: str, sha256: str, dim: int, count: int) -> Tensor:
    """Return unit rows, float32, shape (C, d).

    A file is what torch saved of a mapping whose ``w`` has a prototype in each column, shape (d, C). It is read as tensors only:
    a pickle that wants to run code is refused.

    Args:
        name: Of the file, relative to the working folder: records name no place of one machine.
        sha256: How its hash begins, in hexadecimal.
        dim: d.
        count: C.

    Raises:
        UserError: If it is not there, is another file, or holds something else.
    """
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise ltbench.UserError(f"prototypes_file must be below the folder that ltbench is run in, got {name}")
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise ltbench.UserError(f"prototypes_file must be a file that can be read, got {name}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if len(sha256) < _DIGITS or not found.startswith(sha256.lower()):
        raise ltbench.UserError(f"prototypes_sha256 must be {found[:_DIGITS]} (or more of it) for {name}, got {sha256}")
    try:
        held = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ltbench.UserError(f"prototypes_file must hold tensors saved by torch, got {name}") from error
    columns = held.get("w") if isinstance(held, dict) else None
    if not isinstance(columns, Tensor) or tuple(columns.shape) != (dim, count):
        got = tuple(columns.shape) if isinstance(columns, Tensor) else type(held).__name__
        raise ltbench.UserError(f"prototypes_file must hold a tensor w of shape {(dim, count)} (d, C), got {got}")
    rows = columns.detach().float().T.contiguous()
    if not bool(((rows.norm(dim=1) - 1).abs() <= _LENGTH).all()):
        raise ltbench.UserError(f"prototypes_file must hold columns of length 1, got {name}")
    return torch.nn.functional.normalize(rows, dim=1)
