"""What was typed, carried to another process."""

from __future__ import annotations

import argparse
from typing import Any

from ltbench.method.from_file import add_file
from ltbench.registry.discovery import load_registry

_HERE = ("registry", "run")  # hold functions and modules; the other process loads its own


def packed(args: argparse.Namespace, **changes: Any) -> dict[str, Any]:
    """Return options that pickle.

    Args:
        args: As this verb's parser reads them, with the registry.
        changes: Options that are others there.
    """
    options = {name: value for name, value in vars(args).items() if name not in _HERE}
    return {**options, **changes, "no_plugin": [info.name for info in args.registry.plugins if info.disabled],
            "plugin": list(args.registry.files)}


def unpacked(options: dict[str, Any]) -> argparse.Namespace:
    """Return what was packed, with the registry of this process.

    Args:
        options: As packed.
    """
    registry = load_registry(options["no_plugin"])
    for file in options["plugin"]:
        add_file(registry, file)
    return argparse.Namespace(**options, registry=registry)
