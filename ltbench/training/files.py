"""Tensor files that appear whole or not at all."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ltbench.errors import UserError
from ltbench.system.atomic import appearing

# Seconds of work from which on a file is worth waiting for the disk: waiting takes some milliseconds.
WORTH_SYNCING = 1.0


def save_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write tensors and JSON metadata to one safetensors file, atomically.

    Args:
        durable: Whether a power loss must not cut it short; what it leaves is found to be damaged, and is made again.

    Raises:
        UserError: If the disk is full or the folder cannot be written.
    """
    owned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path, durable=durable) as temporary:
            save_file(owned, temporary, metadata={"ltbench": json.dumps(meta)})
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's error in its own type
        raise not_written(path, error) from error


def not_written(path: Path, error: Exception) -> UserError:
    """Return what to tell a user whose file could not be written."""
    if getattr(error, "errno", None) == errno.ENOSPC or "os error 28" in str(error):
        return UserError(f"no space is left for {path}: free some, or run 'ltbench cache prune'")
    return UserError(f"{path} cannot be written: {error}")


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote."""
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, json.loads((file.metadata() or {}).get("ltbench", "{}"))


def check_tensors(path: Path) -> None:
    """Check that a file is whole, by its header alone."""
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise
    except Exception as error:
        raise UserError(f"{path} is damaged ({error})") from error
