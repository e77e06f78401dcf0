"""A frozen backbone with weights that others trained, in place of the first stage.

Such weights have seen other images, mostly millions: what is built on them is marked "external pre-training", and no board ranks
it with what was trained on the task alone.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_weights import Input, find_weights, fit_weights, input_of, read_weights
from ltbench.data.base import Dataset
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.registry.sources import file_hash, source_hashes

FAMILY = "timm:"
OWN = "timm"  # what a user types for timm's own weights


@dataclass(frozen=True, eq=False)
class Weights:
    """Hold where a backbone's weights are, and how they want images.

    Args:
        model: timm's name, with a tag if the user typed one.
    """

    model: str
    source: Literal["file", "timm"]
    file: Path
    sha256: str
    input: Input

    @property
    def request(self) -> BackboneRequest:
        """What is asked of timm: these weights see three channels, at their own size."""
        return BackboneRequest(self.model, len(self.input.mean), self.input.size)

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        return fit_weights(self.request, read_weights(self.file), self.file)

    def tensors(self) -> dict[str, Tensor]:
        """Return the backbone's tensors by timm's names; they are read once in a process."""
        return self._tensors

    def describe(self) -> dict[str, Any]:
        """Return what a record says of them; no path of a machine."""
        seen = {"mean": list(self.input.mean), "std": list(self.input.std), "size": self.input.size, "crop": self.input.crop}
        return {"kind": "weights", "model": self.model, "source": self.source, "sha256": self.sha256, "input": seen}

    def bank_key(self, data: TaskData) -> str:
        """Return the key of the features of a task's training images under these weights."""
        content = [self.describe(), data.dataset.name, source_hashes(type(data.dataset)), data.split.hash]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def view(self, dataset: Dataset) -> Dataset:
        """Return a dataset's description with the weights' mean, standard deviation and size in place of its own.

        Images in files are decoded at that size. Those in memory stay as they are, gray ones in three equal channels, and the
        backbone scales them, see :class:`ltbench.backbones.resized.Resized`.

        Args:
            dataset: As registered; it is not changed.
        """
        if dataset.channels not in (1, 3):
            raise UserError(f"--weights wants images of 1 or 3 channels, got {dataset.channels} of {dataset.name!r}")
        seen = copy.copy(dataset)
        seen.mean, seen.std, seen.image_size = self.input.mean, self.input.std, self.input.size
        if seen.resized is not None:
            seen.resized = round(self.input.size / self.input.crop)
        return seen


def open_weights(text: str, backbone: str | None, *, size: int | None = None, download: bool) -> Weights:
    """Find the weights that a user named.

    Args:
        text: A file, or ``timm`` for timm's own weights in its local cache.
        backbone: As typed; None if none was.
        size: Height and width that images are shown at; None for what the weights were trained for.
        download: Whether the network may be used for timm's own.

    Raises:
        UserError: If the backbone is none of timm's, or the file is not there.
    """
    if backbone is None or not backbone.startswith(FAMILY):
        raise UserError(f"--weights needs --backbone {FAMILY}NAME, got {backbone or 'no --backbone'}")
    model = backbone.removeprefix(FAMILY)
    wanted = input_of(model)
    if size is not None:
        wanted = replace(wanted, size=size)
    if text == OWN:
        file = find_weights(model, download=download)
        return Weights(model, "timm", file, file_hash(file), wanted)
    file = Path(text).expanduser()
    if not file.is_file():
        raise UserError(f"--weights must be a file, or {OWN} for timm's own, got {text}")
    return Weights(model, "file", file, file_hash(file), wanted)
