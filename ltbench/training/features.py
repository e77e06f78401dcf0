"""Feature banks: the embeddings of a whole split, computed once where the backbone does not change."""

from __future__ import annotations

import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from itertools import islice

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ltbench.backbones.request import feature_dim
from ltbench.backbones.resized import Resized
from ltbench.data.arrays import Floats
from ltbench.data.loader import batches_at
from ltbench.data.parts import ImageSource
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
_EVERY = 10.0  # seconds between two lines about one bank
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Shown:
    """Tell which images are embedded, and what the network sees of each.

    Args:
        source: The part that they are of.
        indices: Which of it, int64, shape (N,).
        labels: Shape (N,).
        prepare: Pixels (B, channels, H, W) and positions (B,) of some of them to images.
        windows: As :func:`ltbench.data.loader.batches_at` takes it.
        precision: Of the backbone, ``fp32`` or ``bf16``.
    """

    source: ImageSource
    indices: Tensor
    labels: Tensor
    prepare: Callable[[Tensor, Tensor], Tensor]
    _: KW_ONLY
    windows: Callable[[Tensor], Floats | None] | None = None
    precision: str = "fp32"


class BankMaker:
    """Compute banks, and keep them with what the frozen backbone comes from.

    Args:
        key: Of the folder in the store where banks are kept; None where there is none.
    """

    def __init__(self, data: TaskData, accelerator: Accelerator, store: StageStore, key: str | None) -> None:
        self._data, self._accelerator = data, accelerator
        self._store, self._key = store, key

    def stored(self, backbone: nn.Module, shown: Shown, name: str) -> Bank:
        """Return a bank that is kept, computed where it is not there yet.

        Args:
            name: Of its file.
        """
        folder = self._store.path(self._key) if self._key else None
        if folder is None or not folder.is_dir():  # such as one that was pruned meanwhile
            return self.computed(backbone, shown)
        total = len(shown.labels)
        file = BankFile(folder, name, total, feature_dim(backbone))
        main = self._accelerator.is_main_process
        # Held while others read too: nobody prunes what they are about to open.
        with self._store.lock(folder.name) if main else nullcontext():
            made = False
            while (first := self._finished_rows(file)) < total:
                chunks = self._chunks(backbone, shown, first)
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
        return self._bank(rows, shown.labels)

    def _finished_rows(self, file: BankFile) -> int:
        """Return what the main process finds of a bank."""
        there = torch.tensor([file.finished_rows() if self._accelerator.is_main_process else 0], device=self._accelerator.device)
        return int(gather_rows(there, self._accelerator)[0])

    def computed(self, backbone: nn.Module, shown: Shown) -> Bank:
        """Return a bank that is not stored: small ones in memory, others on disk until nobody reads them any more."""
        width = feature_dim(backbone)
        chunks = self._chunks(backbone, shown, 0)
        if 4 * len(shown.labels) * width <= IN_MEMORY:
            return self._bank(torch.cat(list(chunks)), shown.labels)
        return self._bank(unkept(chunks, self._store.root, width), shown.labels)

    def _bank(self, rows: Tensor, labels: Tensor) -> Bank:
        """Put rows on the device, if they leave half of what is free there; labels are always there."""
        device = self._accelerator.device
        labels = labels.to(device)
        if device.type == "cuda" and 2 * rows.nbytes <= torch.cuda.mem_get_info(device)[0]:
            resident = torch.empty(rows.shape, device=device)
            for target, (block, _) in zip(torch.split(resident, CHUNK), row_blocks(rows, labels, CHUNK), strict=True):
                target.copy_(block)
            rows = resident
        return Bank(rows, labels)

    @torch.no_grad()
    def _chunks(self, backbone: nn.Module, shown: Shown, first: int) -> Iterator[Tensor]:
        """Yield the embeddings of CHUNK images at a time, whole on every process; rank r embeds rows r, r + world, ... of each.

        Where chunks end does not depend on ``first``, and batches end with them: a resumed bank has the same bits.
        """
        accelerator, total = self._accelerator, len(shown.labels)
        sizes = [min(CHUNK, total - start) for start in range(first, total, CHUNK)]
        rank, world = accelerator.process_index, accelerator.num_processes
        own = [torch.split(torch.arange(start, start + size)[rank::world], BATCH) if rank < size else ()
               for start, size in zip(range(first, total, CHUNK), sizes, strict=True)]
        served = batches_at(shown.source, shown.indices, [batch for chunk in own for batch in chunk], accelerator.device,
                            shown.windows)
        tell = accelerator.is_main_process
        name, done, begun = self._data.dataset.name, first, time.monotonic()
        told = begun
        if tell and isinstance(backbone, Resized):  # a large network: seconds at least
            _LOG.info("features of %s: %s images to embed", name, f"{total - first:,}")
        was_training = backbone.training
        backbone.eval()
        try:
            embed = Embedder(backbone, self._data, accelerator.device, shown.source, shown.indices, shown.precision)
            for size, batches in zip(sizes, own, strict=True):
                # A process may have no image at all.
                rows = [torch.empty(0, feature_dim(backbone), device=accelerator.device)]
                for positions, pixels in islice(served, len(batches)):
                    rows.append(embed(shown.prepare(pixels, positions)))
                    done = min(total, done + len(positions) * accelerator.num_processes)
                    now = time.monotonic()
                    if tell and now - told >= _EVERY:
                        told, rate = now, (done - first) / (now - begun)
                        _LOG.info("features of %s: %s of %s images, %s images/s, %.0f s left", name, f"{done:,}", f"{total:,}",
                                  f"{rate:,.0f}", (total - done) / rate)
                yield interleave(torch.cat(rows), size, accelerator)
        finally:
            backbone.train(was_training)


class FeatureReader:
    """Give the banks of training images, and keep those of a frozen backbone.

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
        self._maker = BankMaker(data, accelerator, store, key)
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
        engine = self._own()
        if engine.stack.backbone != "frozen":
            return self._maker.computed(engine.backbone, self._shown(view))
        if view not in self._banks:
            self._banks[view] = self._maker.stored(engine.backbone, self._shown(view), self._name(view))
        return self._banks[view]

    def finished(self, *, keep: bool) -> Bank:
        """Return the embeddings of the plain training images under this stage's finished backbone, stored or computed.

        Args:
            keep: Whether to store them: a stage above that leaves the backbone frozen reads them there.
        """
        engine = self._own()
        if engine.stack.backbone == "frozen":
            return self.read("train", "plain")
        shown = self._shown("plain")
        if not keep:
            return self._maker.computed(engine.backbone, shown)
        return self._maker.stored(engine.backbone, shown, self._name("plain"))

    def _own(self) -> Engine:
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine of this bank is gone")
        return engine

    def _name(self, view: str) -> str:
        return "bank-plain" if view == "plain" else f"bank-{view}-{self._augmented.label}-{self._seed}"

    def _shown(self, view: str) -> Shown:
        seen = self._augmented if view == "augmented" else plain_view(self._data.dataset)
        seed = derive_seed("bank", self._seed)
        return Shown(self._data.parts.train, self._data.indices, self._data.labels,
                     lambda pixels, positions: seen(pixels, positions, seed, 0),
                     windows=lambda positions: seen.windows(positions.numpy(), seed, 0))
