"""Files of tensors that others wrote: read without running code, and freed of what a training put before the names."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ltbench.errors import UserError

# What stands before names. Of a row one alone is a model that is wanted: the first that is there, so averages come first.
_PREFIXES = (
    ("state_dict_ema.", "model_ema.", "state_dict.", "model.", "teacher.", "student.", "encoder_q.", "encoder_k.",
     "base_encoder.", "momentum_encoder.", "target_encoder.", "encoder."),
    ("module.",),
    ("backbone.",),
)
_COMPILED = "_orig_mod."  # which torch.compile puts wherever a compiled module stands


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Hold a file's tensors by name, in the file's order.

    Args:
        tensors: Of a nested file by all keys on the way, with dots: ``state_dict.module.conv1.weight``.
        left_out: Prefixes that the names have lost.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    left_out: tuple[str, ...] = ()

    def fitting(self, wanted: Collection[str]) -> Checkpoint:
        """Return the same with fewer prefixes: as few known ones are left out as give the most names that are wanted.

        One that fits as it is does not end the search: a classifier often stands bare beside ``backbone.`` and the rest.

        Args:
            wanted: Names of the model's own tensors, some of which may begin as a prefix does.

        Returns:
            Without all known prefixes where no name is ever wanted: timm knows the names that some authors gave.
        """
        tensors, left_out = dict(self.tensors), list(self.left_out)
        if any(_COMPILED in name for name in tensors):
            tensors = {name.replace(_COMPILED, ""): value for name, value in tensors.items()}
            left_out.append(_COMPILED)
        best, most = Checkpoint(self.path, tensors, tuple(left_out)), sum(name in wanted for name in tensors)
        while most < len(wanted):
            found = (tuple(prefix for prefix in row if any(name.startswith(prefix) for name in tensors)) for row in _PREFIXES)
            row = next(filter(None, found), None)
            if row is None:
                break
            others = {name: value for name, value in tensors.items() if not name.startswith(row)}
            tensors = others | {name.removeprefix(row[0]): value for name, value in tensors.items() if name.startswith(row[0])}
            left_out.append(row[0])
            fit = sum(name in wanted for name in tensors)
            if fit > most or most == 0:
                best, most = Checkpoint(self.path, tensors, tuple(left_out)), fit
        return best

    def tell(self) -> None:
        """Say in one line, once in a process, what names have lost."""
        if self.left_out:
            _say(f"{self.path}: {', '.join(map(repr, self.left_out))} before the names of its tensors left out")


@functools.cache
def _say(line: str) -> None:
    print(line, file=sys.stderr)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read safetensors, or a torch file without pickled code.

    Raises:
        UserError: If it cannot be read so, or holds no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals([argparse.Namespace]):  # in which many trainings keep their options
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every format has errors of its own
        raise UserError(f"{path} cannot be read: it must be a safetensors file, or a torch file of tensors alone") from error
    tensors = dict(_flat(content, ""))
    if not tensors:
        raise UserError(f"{path} must hold the tensors of a model by name, got none")
    return Checkpoint(path, tensors)


def _flat(content: Any, before: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if isinstance(value, Tensor):
            yield f"{before}{name}", value
        else:
            yield from _flat(value, f"{before}{name}.")
