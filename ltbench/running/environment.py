"""What a run ran on, without saying whose machine it was."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import torch
from accelerate import Accelerator

from ltbench.results.schema import Environment
from ltbench.system import memory as usage
from ltbench.training.embedding import evaluation_precision

LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "numpy", "scikit-learn", "safetensors")


def describe(accelerator: Accelerator, batch_size: int, accumulation: int, *, compiles: bool = False,
             sync_batch_norm: bool = False) -> Environment:
    """Return device, driver, versions and how the global batch was split: no host name, no user name, no path."""
    device = accelerator.device
    cuda = device.type == "cuda"
    return Environment(
        world_size=accelerator.num_processes,
        accumulation=accumulation,
        evaluation=evaluation_precision(accelerator),
        compiled=compiles,
        sync_batch_norm=sync_batch_norm,
        batch_per_device=batch_size // (accelerator.num_processes * accumulation),
        device=torch.cuda.get_device_name(device) if cuda else device.type,
        cuda=torch.version.cuda if cuda else None,
        processor=platform.machine() or None,
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        system=platform.system() or None,
        python=platform.python_version(),
        libraries={name: _version(name) for name in LIBRARIES},
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the largest memory of the process so far, and of the device's allocator since it was last reset, in bytes."""
    peaks = {"process": usage.peak_memory()}
    if device.type == "cuda":
        peaks["device"] = torch.cuda.max_memory_allocated(device)
    return peaks


def surroundings(runs: int, accelerator: Accelerator) -> str:
    """Return what a user wants to know once: how much is done where, and in which precision."""
    device, processes = accelerator.device, accelerator.num_processes
    where = f"{torch.cuda.get_device_name(device)} ({device})" if device.type == "cuda" else str(device)
    threads = f", {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}" if device.type == "cpu" else ""
    together = f", {processes} processes" if processes > 1 else ""
    precision = "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    return f"{runs} run{'s' * (runs > 1)} on {where}{threads}{together} in {precision}"
