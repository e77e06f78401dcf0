"""What a model said about each test image: the raw material that every figure of a record can be recomputed from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ltbench.errors import Diverged, UserError
from ltbench.results.npz import pack, reason, unpack
from ltbench.results.text import printable

if TYPE_CHECKING:
    from torch import Tensor

# Little-endian by name, so that files and hashes are the same on every machine.
_DTYPES = {"ids": "<i8", "labels": "<i8", "argmax": "<i8", "confidence": "<f4", "log_prob": "<f4"}
_MAX_BYTES = 256 * 2**20  # unpacked; a file that unpacks to more is damaged or hostile


@dataclass(frozen=True, eq=False)
class Predictions:
    """Hold one prediction an image, in the order of the images' ids.

    Args:
        ids: Position of each image in the whole test part, strictly increasing, int64, shape (N,).
        labels: True class, int64, shape (N,).
        argmax: Predicted class, int64, shape (N,).
        confidence: Largest probability, float32, shape (N,).
        log_prob: Log-probability of the true class, float32, shape (N,).

    Raises:
        ValueError: If an array has another type or shape, an image stands twice or out of order, or a figure is NaN.
    """

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    argmax: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    log_prob: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            value = getattr(self, name)
            if value.dtype != np.dtype(dtype) or value.shape != (len(self),):
                wanted = f"{np.dtype(dtype).name} of shape ({len(self)},)"
                raise ValueError(f"{name} must be {wanted}, got {value.dtype} of shape {value.shape}")
        if (np.diff(self.ids) <= 0).any():
            raise ValueError("ids must be strictly increasing, got an image twice or out of order")
        for name in ("labels", "argmax"):
            if (getattr(self, name) < 0).any():
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name).min()}")
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise ValueError("confidence must be in [0, 1]")
        if np.isnan(self.log_prob).any():
            raise ValueError("log_prob must be a number, got NaN")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_log_probabilities(
        cls, ids: Tensor | npt.NDArray[np.int64], labels: Tensor | npt.NDArray[np.int64], log_probs: Tensor
    ) -> Predictions:
        """Reduce log-probabilities to what is kept, and sort by id.

        Args:
            ids: Position of each image in the whole test part, in any order, shape (N,).
            labels: True classes, shape (N,).
            log_probs: Shape (N, C).

        Raises:
            Diverged: If an image has no finite largest log-probability: a NaN would otherwise count as a class.
            ValueError: If an image stands twice, or a label is not below C.
        """
        import torch

        if log_probs.dim() != 2 or not len(ids) == len(labels) == len(log_probs):
            raise ValueError(f"ids, labels and log_probs must be of shapes (N,), (N,), (N, C), got {tuple(ids.shape)}, "
                             f"{tuple(labels.shape)}, {tuple(log_probs.shape)}")
        truth = torch.as_tensor(labels, dtype=torch.int64, device=log_probs.device)  # (N,)
        if len(truth) and not 0 <= int(truth.min()) <= int(truth.max()) < log_probs.shape[1]:
            raise ValueError(f"labels must be in [0, {log_probs.shape[1]}), got {int(truth.min())} to {int(truth.max())}")
        return cls.from_summary(ids, labels, summarize(log_probs, truth))

    @classmethod
    def from_summary(
        cls, ids: Tensor | npt.NDArray[np.int64], labels: Tensor | npt.NDArray[np.int64], summary: Tensor
    ) -> Predictions:
        """Build predictions from what :func:`summarize` kept, and sort by id.

        Args:
            ids: Position of each image in the whole test part, in any order, shape (N,).
            labels: True classes, shape (N,).
            summary: Shape (N, 3).

        Raises:
            Diverged: If an image has no finite largest log-probability: a NaN would otherwise count as a class.
            ValueError: If an image stands twice.
        """
        import torch

        argmax, largest, of_truth = summary.double().cpu().unbind(dim=1)  # each (N,)
        broken = int((~torch.isfinite(largest)).sum())
        if broken:
            raise Diverged(f"the log-probabilities of {broken} of {len(summary)} test images are not finite")
        unsorted: dict[str, Any] = {
            "ids": torch.as_tensor(ids).cpu().numpy(),
            "labels": torch.as_tensor(labels).cpu().numpy(),
            "argmax": argmax.numpy(),
            # An average over views may pass 1 by a rounding error.
            "confidence": largest.exp().clamp(max=1).numpy(),
            "log_prob": of_truth.numpy(),
        }
        order = np.argsort(unsorted["ids"], kind="stable")
        return cls(**{name: unsorted[name][order].astype(dtype) for name, dtype in _DTYPES.items()})

    def sha256(self) -> str:
        """Return the hash of the arrays' names, lengths and contents.

        Not of a file's bytes: those change with the compression library, and the predictions do not.
        """
        digest = hashlib.sha256()
        for field in fields(self):
            array = getattr(self, field.name).astype(_DTYPES[field.name])
            digest.update(f"{field.name} {_DTYPES[field.name]} {len(array)}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def tested_on(self) -> str:
        """Return the hash of the test images' positions and labels: equal for all runs that were tested on the same ones."""
        return hashlib.sha256(self.ids.astype("<i8").tobytes() + self.labels.astype("<i8").tobytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return a compressed .npz file: the same bytes for the same predictions, whenever they are written."""
        return pack({field.name: getattr(self, field.name).astype(_DTYPES[field.name]) for field in fields(self)})

    def save(self, path: Path) -> None:
        """Write a compressed .npz file.

        Args:
            path: Written as it stands: no ending is added.
        """
        path.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read a file that :meth:`save` wrote; nothing in it can run code.

        Args:
            path: Of the .npz file.

        Raises:
            UserError: If the file is missing, damaged, or holds something else.
        """
        try:
            return cls(**unpack(path, list(_DTYPES), _MAX_BYTES))
        except Exception as error:
            raise UserError(printable(f"predictions {path} cannot be read: {reason(error)}")) from None


def summarize(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Keep three numbers an image: at 8,142 classes the whole row would be 3,000 times as much.

    Args:
        log_probs: Shape (N, C).
        labels: True classes, on the same device, shape (N,).

    Returns:
        Predicted class, largest log-probability and that of the true class, float32 (which is exact for a class), shape (N, 3).
    """
    import torch

    largest, argmax = log_probs.float().max(dim=1)
    return torch.stack([argmax.float(), largest, log_probs.float().gather(1, labels[:, None])[:, 0]], dim=1)
