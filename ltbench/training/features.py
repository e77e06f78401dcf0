"""Feature banks: the embeddings of a whole split, computed once where the backbone does not change."""

from __future__ import annotations

import weakref
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.data.augment import Augmentation
from ltbench.data.loader import evaluation_batches
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.protocols import Protocol
from ltbench.training.context import Bank
from ltbench.training.distributed import gather_rows, interleave
from ltbench.training.engine import Engine
from ltbench.training.files import load_tensors, save_tensors

BATCH = 512


class FeatureReader:
    """Compute banks, and keep those of a frozen backbone.

    Args:
        engine: Whose backbone embeds.
        data: Of the task.
        protocol: Names the training augmentation.
        seed: Of the augmented view.
        accelerator: Of the process.
        folder: Of the stage that the frozen backbone came from; None where there is none.
    """

    def __init__(self, engine: Engine, data: TaskData, protocol: Protocol, seed: int, accelerator: Accelerator,
                 folder: Path | None) -> None:
        self._engine = weakref.ref(engine)
        self._data = data
        self._protocol = protocol
        self._seed = seed
        self._accelerator = accelerator
        self._folder = folder
        self._banks: dict[str, Bank] = {}

    def read(self, split: str, view: str) -> Bank:
        """Return a bank.

        Args:
            split: ``train``.
            view: ``plain`` or ``augmented``.

        Raises:
            ValueError: For any other split or view.
        """
        if split != "train":
            raise ValueError(f"split must be 'train', got {split!r}: a method never sees other images")
        if view not in ("plain", "augmented"):
            raise ValueError(f"view must be 'plain' or 'augmented', got {view!r}")
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine of this bank is gone")
        if engine.stack.backbone != "frozen":
            return self._compute(engine, view)
        if view not in self._banks:
            self._banks[view] = self._stored(engine, view)
        return self._banks[view]

    def finished(self, *, keep: bool) -> Bank:
        """Return the plain training images under a backbone that is trained, from the store if they are there.

        Args:
            keep: Whether to store them: a stage above that leaves the backbone frozen reads them there.
        """
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine of this bank is gone")
        if engine.stack.backbone == "frozen":
            return self.read("train", "plain")
        return self._stored(engine, "plain", keep=keep)

    def _stored(self, engine: Engine, view: str, *, keep: bool = True) -> Bank:
        names = "" if view == "plain" else "-" + "-".join(self._protocol.augmentation) + f"-{self._seed}"
        file = self._folder / f"bank-{view}{names}.safetensors" if self._folder and self._folder.is_dir() else None
        tensors = _read(file, self._accelerator.device)
        there = torch.tensor(["embedding" in tensors], device=self._accelerator.device)
        if not gather_rows(there, self._accelerator).all():  # all compute, or none: they wait for each other
            bank = self._compute(engine, view)
            if keep and file is not None and self._accelerator.is_main_process:
                save_tensors(file, {"embedding": bank.embedding}, {})
            return bank
        return Bank(tensors["embedding"], self._data.labels.to(self._accelerator.device))

    @torch.no_grad()
    def _compute(self, engine: Engine, view: str) -> Bank:
        dataset, accelerator = self._data.dataset, self._accelerator
        names = self._protocol.augmentation if view == "augmented" else ()
        augment = Augmentation(names, dataset.crop_padding, dataset.mean, dataset.std)
        was_training = engine.backbone.training
        engine.backbone.eval()
        rows = [torch.empty(0, int(engine.backbone.feature_dim), device=accelerator.device)]  # type: ignore[arg-type]
        seed = derive_seed("bank", self._seed)
        for positions, pixels in evaluation_batches(self._data.parts.train, self._data.indices, BATCH, accelerator.device,
                                                    accelerator.process_index, accelerator.num_processes,
                                                    windows=lambda positions: augment.windows(positions.numpy(), seed, 0)):
            images = augment(pixels, positions, seed, 0)
            rows.append(engine.backbone(images).float())
        engine.backbone.train(was_training)
        embedding = interleave(torch.cat(rows), len(self._data.labels), accelerator)
        return Bank(embedding, self._data.labels.to(accelerator.device))


def _read(file: Path | None, device: torch.device) -> dict[str, Tensor]:
    """Return a stored bank's tensors; none where there is no bank, or a damaged one, which is computed again."""
    try:
        return load_tensors(file, device)[0] if file is not None else {}
    except (FileNotFoundError, UserError):
        return {}
