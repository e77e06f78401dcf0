"""What a run ran on, without saying whose machine it was."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "numpy", "scikit-learn", "safetensors")


def describe(accelerator: Accelerator, batch_size: int, accumulation: int) -> dict[str, Any]:
    """Return device, driver, versions and how the global batch was split: no host name, no user name, no path."""
    device = accelerator.device
    cuda = device.type == "cuda"
    return {
        "world_size": accelerator.num_processes,
        "accumulation": accumulation,
        "batch_per_device": batch_size // (accelerator.num_processes * accumulation),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "cuda": torch.version.cuda if cuda else None,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the largest memory of the process and of the device's allocator, in bytes, since a peak was last forgotten."""
    peaks = {"process": _resident_peak()}
    if device.type == "cuda":
        peaks["device"] = torch.cuda.max_memory_allocated(device)
    return peaks


def _resident_peak() -> int:
    # Not getrusage on Linux: a child starts there at its parent's peak, and that one is not forgotten in every case.
    with suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/self/status").read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
