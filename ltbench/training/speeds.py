"""How long a training step took here before, so that what is planned can be told how long it will take."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import torch
from accelerate import Accelerator

from ltbench.data.base import Dataset
from ltbench.system.atomic import write_whole

FILE = "speeds.json"  # in the cache


def setting(methods: str, backbone: str, dataset: Dataset, batch_size: int, accelerator: Accelerator) -> str:
    """Return what a step's length depends on, of a stage that trains on images.

    Args:
        methods: Of the stage, as in the expression: experts and views take longer.
    """
    device = accelerator.device
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} {torch.get_num_threads()}"
    size = f"{dataset.channels} x {dataset.image_size}"
    return f"{methods} {backbone} {size} {batch_size} {where} {accelerator.num_processes} {accelerator.mixed_precision}"


def known(cache: Path) -> dict[str, float]:
    """Return the seconds of a step by setting; empty where nothing was noted, or nothing that can be read."""
    try:
        noted = json.loads((cache / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    values = noted.items() if isinstance(noted, dict) else ()
    return {name: float(value) for name, value in values if isinstance(value, (int, float)) and value > 0}


def note(cache: Path, name: str, seconds: float) -> None:
    """Keep how long a step took; the newest counts, and what cannot be written is forgotten."""
    with suppress(OSError):
        write_whole(cache / FILE, json.dumps(known(cache) | {name: seconds}, indent=1).encode(), durable=False)
