"""Say what torch sees, as JSON: run as a program by the doctor, for a broken pair can take the whole process down.

Imports nothing of ltbench, so that it works however broken the installation is.
"""

from __future__ import annotations

import json
from typing import Any


def torchvision_problem() -> str | None:
    """Return why torchvision does not work with torch, or None if one of its compiled operators runs."""
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except Exception as error:  # ImportError, RuntimeError, AttributeError, OSError: each release breaks in its own way
        reason = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {reason}"
    return None


def devices() -> list[dict[str, Any]]:
    """Return the accelerators, each with its memory in bytes (None where torch does not say)."""
    import torch

    found: list[dict[str, Any]] = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            found.append({"kind": "cuda", "name": properties.name, "memory": properties.total_memory})
    elif torch.backends.mps.is_available():
        found.append({"kind": "mps", "name": "Apple GPU", "memory": None})
    return found


def probe() -> dict[str, Any]:
    """Return everything; ``torch_problem`` alone if torch cannot be imported."""
    try:
        import torch
    except Exception as error:
        return {"torch_problem": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
    return {
        "torch_problem": None,
        "torchvision_problem": torchvision_problem(),
        "devices": devices(),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    print(json.dumps(probe()))
