"""What processes check of each other before they work together, and when something fails."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch.distributed.distributed_c10d import _get_default_store

from ltbench.errors import UserError
from ltbench.system.atomic import temporary_beside

_VISIBLE = 10.0  # seconds after which a file that another node wrote should be seen; network file systems remember absences
_MEETING = 5.0  # seconds that processes wait to see whether all fail alike


def require_shared(folders: Mapping[str, Path], accelerator: Accelerator) -> None:
    """Check that every process sees what the main one writes.

    Args:
        folders: Option -> its folder.

    Raises:
        UserError: On every process, naming one that does not.
    """
    if accelerator.num_processes == 1:
        return
    for option, folder in folders.items():
        token = [_leave_token(folder) if accelerator.is_main_process else None]
        broadcast_object_list(token)
        if token[0] is None:
            raise UserError(f"{option} must be a folder that can be written, got {folder}")
        file = folder / token[0]
        seen = gather_object([_appears(file)])
        if accelerator.is_main_process:
            file.unlink(missing_ok=True)
        if not all(seen):
            raise UserError(f"{option} must be one folder that all nodes share, got {folder}: rank {seen.index(False)} does not "
                            "see what rank 0 writes there")


def _leave_token(folder: Path) -> str | None:
    file = temporary_beside(folder / "shared")  # which is swept, should this process be killed before it is removed
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError:
        return None
    return file.name


def _appears(file: Path) -> bool:
    deadline = time.monotonic() + _VISIBLE
    while not file.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def require_same_plans(keys: Sequence[str], accelerator: Accelerator) -> None:
    """Check that every process has planned the same runs.

    Raises:
        UserError: On every process, naming one whose code or arguments are others.
    """
    if accelerator.num_processes == 1:
        return
    digests = gather_object([hashlib.sha256(json.dumps(list(keys)).encode()).hexdigest()])
    other = next((rank for rank, digest in enumerate(digests) if digest != digests[0]), None)
    if other is not None:
        raise UserError(f"all processes must plan the same runs, got others on rank {other} than on rank 0: nodes need the same "
                        "arguments and the same versions of ltbench and its plugins")


def fails_everywhere(reason: str, key: str, accelerator: Accelerator) -> bool:
    """Tell whether a run failed for one reason on every process, so that all can go on with the next one."""
    store = _get_default_store()
    names = [f"ltbench/failed/{key}/{rank}" for rank in range(accelerator.num_processes)]
    store.set(names[accelerator.process_index], reason)
    deadline = time.monotonic() + _MEETING
    while not store.check(names):
        if time.monotonic() > deadline:  # somebody is still at work, or gone
            return False
        time.sleep(0.05)
    return all(store.get(name) == reason.encode() for name in names)
