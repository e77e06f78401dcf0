"""Weights that others trained, as the place where the training of a backbone starts.

What is trained from them is marked "external pre-training", as what stands on frozen ones is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.backbones.pretrained import FAMILY, Weights, open_weights
from ltbench.data.base import Dataset
from ltbench.errors import UserError
from ltbench.registry.sources import file_hash


@dataclass(frozen=True, eq=False)
class Start:
    """Hold where a backbone's weights are, and what of it is trained from there.

    Args:
        backbone: Its name.
        tune: One of :data:`ltbench.terms.protocol.TUNES`.
        weights: Of a model of timm, which say how they want images; None for any other backbone.
    """

    backbone: str
    tune: str
    file: Path
    sha256: str
    weights: Weights | None

    def describe(self, dataset: Dataset) -> dict[str, Any]:
        """Return what a record says of it, and what stands in the keys; no path of a machine.

        Args:
            dataset: That is trained on, as :meth:`view` gives it.
        """
        of_file = {"kind": "weights", "model": self.backbone, "source": "file", "sha256": self.sha256}
        return {**(self.weights.describe(dataset) if self.weights else of_file), "tune": self.tune}

    def view(self, dataset: Dataset) -> Dataset:
        """Return a dataset's description as the weights want its images, see :meth:`Weights.view`."""
        return self.weights.view(dataset) if self.weights else dataset


def open_start(text: str, backbone: str, tune: str, *, size: int | None, download: bool) -> Start:
    """Find the weights that a training starts from.

    Args:
        text: A file; for a model of timm also where :func:`ltbench.backbones.pretrained.open_weights` looks elsewhere.
        size: Height and width that a model of timm is shown images at; None for what its weights were trained for.
        download: Whether the network may be used.

    Raises:
        UserError: If they are not there.
    """
    if backbone.startswith(FAMILY):
        try:
            weights = open_weights(text, backbone, size=size, download=download)
        except UserError as error:
            raise UserError(str(error).replace("--weights", "--init")) from error
        return Start(backbone, tune, weights.file, weights.sha256, weights)
    file = Path(text).expanduser()
    if not file.is_file():
        raise UserError(f"--init must be a file for the backbone {backbone}, got {text}; others than files are for {FAMILY}NAME")
    return Start(backbone, tune, file, file_hash(file), None)
