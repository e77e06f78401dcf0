"""Feature banks: the embeddings of a whole split, computed once where the backbone does not change."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.backbones.request import feature_dim
from ltbench.data.loader import batches_at
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.data.view import View, plain_view
from ltbench.method.context import Bank
from ltbench.system.mapped import row_blocks
from ltbench.training.bank_file import CHUNK, BankFile, unkept
from ltbench.training.distributed import gather_rows, interleave
from ltbench.training.embedding import Embedder
from ltbench.training.engine import Engine
from ltbench.training.store import StageStore

BATCH = 512
IN_MEMORY = 1 << 26  # bytes that a bank which is not kept may take; more go to disk


class FeatureReader:
    """Compute banks, and keep those of a frozen backbone.

    Args:
        augmented: The view of training images that the protocol names.
        key: Of the stage that the frozen backbone was trained in, where its banks are kept; None where there is none.
    """

    def __init__(self, engine: Engine, data: TaskData, augmented: View, seed: int, accelerator: Accelerator, store: StageStore,
                 key: str | None) -> None:
        self._engine = weakref.ref(engine)
        self._data = data
        self._augmented = augmented
        self._seed = seed
        self._accelerator = accelerator
        self._store, self._key = store, key
        self._banks: dict[str, Bank] = {}
        seen = data.held_out  # too few for a file, which would need another name than that of the training images
        self._held_out = None if seen is None else FeatureReader(engine, seen, augmented, seed, accelerator, store, None)

    @property
    def splits(self) -> tuple[str, ...]:
        """Of which there are banks."""
        return ("train",) if self._held_out is None else ("train", "held_out")

    def read(self, split: str, view: str) -> Bank:
        """Return a bank."""
        if split == "held_out" and self._held_out is not None:
            return self._held_out.read("train", view)
        if split != "train":
            raise ValueError(f"split must be one of {', '.join(self.splits)}, got {split!r}: a method never sees other images")
        if view not in ("plain", "augmented"):
            raise ValueError(f"view must be 'plain' or 'augmented', got {view!r}")
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine of this bank is gone")
        if engine.stack.backbone != "frozen":
            return self._computed(engine, view)
        if view not in self._banks:
            self._banks[view] = self._stored(engine, view)
        return self._banks[view]

    def finished(self, *, keep: bool) -> Bank:
        """Return the embeddings of the plain training images under this stage's finished backbone, stored or computed.

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
        folder = self._store.path(self._key) if self._key else None
        if folder is None or not keep or not folder.is_dir():  # such as one that was pruned meanwhile
            return self._computed(engine, view)
        names = "" if view == "plain" else f"-{self._augmented.label}-{self._seed}"
        file = BankFile(folder, f"bank-{view}{names}", len(self._data.labels), feature_dim(engine.backbone))
        main = self._accelerator.is_main_process
        # Held while others read too: nobody prunes what they are about to open.
        with self._store.lock(folder.name) if main else nullcontext():
            made = False
            while (first := self._finished_rows(file)) < len(self._data.labels):
                chunks = self._chunks(engine, view, first)
                if main:
                    file.write(chunks, lambda: self._store.confirm(folder.name))
                else:
                    deque(chunks, maxlen=0)  # this process's rows reach the main one in the course of it
                made = True
            self._accelerator.wait_for_everyone()
            rows = file.read()
            self._accelerator.wait_for_everyone()
        if main and made:
            self._store.make_room(folder.name)
        return self._bank(rows)

    def _finished_rows(self, file: BankFile) -> int:
        """Return what the main process finds of a bank."""
        there = torch.tensor([file.finished_rows() if self._accelerator.is_main_process else 0], device=self._accelerator.device)
        return int(gather_rows(there, self._accelerator)[0])

    def _computed(self, engine: Engine, view: str) -> Bank:
        """Return a bank that is not stored: small ones in memory, others on disk until nobody reads them any more."""
        width = feature_dim(engine.backbone)
        chunks = self._chunks(engine, view, 0)
        if 4 * len(self._data.labels) * width <= IN_MEMORY:
            return self._bank(torch.cat(list(chunks)))
        return self._bank(unkept(chunks, self._store.root, width))

    def _bank(self, rows: Tensor) -> Bank:
        """Put rows on the device, if they leave half of what is free there; labels are always there."""
        device = self._accelerator.device
        labels = self._data.labels.to(device)
        if device.type == "cuda" and 2 * rows.nbytes <= torch.cuda.mem_get_info(device)[0]:
            resident = torch.empty(rows.shape, device=device)
            for target, (block, _) in zip(torch.split(resident, CHUNK), row_blocks(rows, labels, CHUNK), strict=True):
                target.copy_(block)
            rows = resident
        return Bank(rows, labels)

    @torch.no_grad()
    def _chunks(self, engine: Engine, view: str, first: int) -> Iterator[Tensor]:
        """Yield the embeddings of CHUNK images at a time, whole on every process; rank r embeds rows r, r + world, ... of each.

        Where chunks end does not depend on ``first``, and batches end with them: a resumed bank has the same bits.
        """
        accelerator, total = self._accelerator, len(self._data.labels)
        augment = self._augmented if view == "augmented" else plain_view(self._data.dataset)
        seed = derive_seed("bank", self._seed)
        sizes = [min(CHUNK, total - start) for start in range(first, total, CHUNK)]
        rank, world = accelerator.process_index, accelerator.num_processes
        own = [torch.split(torch.arange(start, start + size)[rank::world], BATCH) if rank < size else ()
               for start, size in zip(range(first, total, CHUNK), sizes, strict=True)]
        served = batches_at(self._data.parts.train, self._data.indices, [batch for chunk in own for batch in chunk],
                            accelerator.device, lambda positions: augment.windows(positions.numpy(), seed, 0))
        was_training = engine.backbone.training
        engine.backbone.eval()
        try:
            embed = Embedder(engine.backbone, self._data, accelerator.device, self._data.parts.train, self._data.indices)
            for size, batches in zip(sizes, own, strict=True):
                # A process may have no image at all.
                rows = [torch.empty(0, feature_dim(engine.backbone), device=accelerator.device)]
                for positions, pixels in islice(served, len(batches)):
                    rows.append(embed(augment(pixels, positions, seed, 0)))
                yield interleave(torch.cat(rows), size, accelerator)
        finally:
            engine.backbone.train(was_training)
