"""Batches of images or of cached features, ready on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ltbench.data.arrays import Floats, Ints
from ltbench.data.batch import Batch
from ltbench.data.chunks import batch_shape, check_batch_size, chunk, occurrences
from ltbench.data.parts import ImageSource, TensorImages
from ltbench.data.stream import IN_MEMORY, Decoder, Request, Stream
from ltbench.data.view import Drawn, View
from ltbench.errors import UserError
from ltbench.system.mapped import take_rows


class _Parts:
    """Walk through an epoch's global batches and this process's parts of them."""

    def __init__(self, labels: Tensor, batch_size: int, device: torch.device | str, rank: int, world: int,
                 accumulation: int) -> None:
        check_batch_size(batch_size, world, accumulation)
        self._labels = labels.to(device)
        self._batch_size, self._device = batch_size, torch.device(device)
        self._rank, self._world, self._accumulation = rank, world, accumulation

    def places(self, draws: int) -> Iterator[list[slice]]:
        """Yield, for every global batch of an order of ``draws`` positions, where in it this process's parts stand."""
        chunks = self._world * self._accumulation
        batches, size = batch_shape(draws, self._batch_size, chunks)
        for start in range(0, batches * size, size):
            parts = (chunk(step, self._rank, self._world, size // chunks) for step in range(self._accumulation))
            yield [slice(start + part.start, start + part.stop) for part in parts]

    def walk(self, order: npt.ArrayLike) -> Iterator[list[tuple[Batch, slice]]]:
        """Yield, for every global batch, batches without contents and where in the order each stands."""
        chunks = self._world * self._accumulation
        # Moved once an epoch: small copies cost a GPU more than steps.
        positions = torch.from_numpy(np.asarray(order, dtype=np.int64)).to(self._device, non_blocking=True)
        labels = self._labels[positions]
        _, size = batch_shape(len(positions), self._batch_size, chunks)
        for number, places in enumerate(self.places(len(positions))):
            start = number * size
            parts = []
            for place in places:
                own = labels[place]
                parts.append((Batch(None, own, [(own, 1.0)], positions[place], labels[start:start + size], chunks=chunks,
                                    first=place.start - start), place))
            yield parts


class Loader:
    """Serve augmented images.

    Images that fit in memory stay on the device as uint8; others are fetched ahead of the training. What happens to an image
    depends on (seed, epoch, its index in the source, how often it was drawn before in this epoch), and on nothing else.

    Args:
        source: Holds the images of the whole training part.
        indices: Which of them are the training split, int64, shape (n,); position i of an order is image ``indices[i]``.
        views: What each view of an image goes through; at least one.
        batch_size: Images in a global batch; divides by ``world * accumulation``.
        accumulation: Parts of a global batch that one process takes, one after the other.

    Raises:
        UserError: If the batch cannot be cut into equal parts, or a view wants windows of images that are not decoded from files.
    """

    def __init__(self, source: ImageSource, indices: Tensor | npt.ArrayLike, views: Sequence[View], *, batch_size: int,
                 seed: int, device: torch.device | str = "cpu", rank: int = 0, world: int = 1, accumulation: int = 1) -> None:
        if not views:
            raise ValueError("views must hold at least one augmentation, got none")
        self._indices = torch.as_tensor(np.asarray(indices, dtype=np.int64))
        self._parts = _Parts(source.labels.cpu()[self._indices], batch_size, device, rank, world, accumulation)
        self._source, self._views, self._seed, self._device = source, tuple(views), seed, torch.device(device)
        self._size = len(source.labels)
        if not isinstance(source, Decoder) and any(view.cuts_windows for view in views):
            raise UserError(IN_MEMORY)
        self._pixels: Tensor | None = None
        if isinstance(source, TensorImages):
            self._pixels = source.fetch(self._indices).to(device)
        else:
            self._stream = Stream(source, self._device)

    def epoch(self, order: npt.ArrayLike, epoch: int) -> Iterator[list[Batch]]:
        """Yield, for every global batch, this process's part of it: one batch an accumulation step.

        Args:
            order: Positions in the split, in the order of training, the same on every process, int64, shape (draws,).

        Raises:
            UserError: If the order holds fewer images than there are parts.
        """
        positions = np.asarray(order, dtype=np.int64)
        # An image that a sampler repeats within the epoch must not come in the same crop each time.
        names: Ints = self._indices.numpy()[positions] + self._size * occurrences(positions)
        uniforms = [view.draw(names, self._seed, epoch, number) for number, view in enumerate(self._views)]
        drawn: list[Drawn] = []
        served = self._stream.serve(self._requests(positions, names, epoch)) if self._pixels is None else iter(())
        for parts in self._parts.walk(positions):
            filled: list[Batch] = []
            pieces: list[list[Tensor]] = []
            for batch, place in parts:
                fetched = self._fetch(batch, served)
                drawn = drawn or [view.ready(numbers, pixels)
                                  for view, numbers, pixels in zip(self._views, uniforms, fetched, strict=True)]
                batch.views = [view.apply(pixels, ready.rows(place))
                               for view, pixels, ready in zip(self._views, fetched, drawn, strict=True)]
                batch.images, batch.pieces = batch.views[0], pieces
                pieces.append(batch.views)
                filled.append(batch)
            yield filled

    def _requests(self, positions: Ints, names: Ints, epoch: int) -> Iterator[Request]:
        """Ask for this process's parts of an epoch; random numbers are drawn part by part, for windows want many."""
        for place in chain.from_iterable(self._parts.places(len(positions))):
            windows = [view.windows(names[place], self._seed, epoch, number) for number, view in enumerate(self._views)]
            yield Request(self._indices.numpy()[positions[place]], windows)

    def _fetch(self, batch: Batch, served: Iterator[list[Tensor]]) -> list[Tensor]:
        """Return the pixels of each view."""
        if self._pixels is not None:
            return [self._pixels.index_select(0, batch.indices)] * len(self._views)
        return next(served)


class FeatureLoader:
    """Serve cached features, cut into batches as :class:`Loader` cuts images.

    Features stay where they are: on the device if they fit there, else in memory or on disk, and batches of them are moved.

    Args:
        features: Embedding of every training image, shape (n, D).
        batch_size: Samples in a global batch; divides by ``world * accumulation``.
    """

    def __init__(self, features: Tensor, labels: Tensor, *, batch_size: int, device: torch.device | str = "cpu", rank: int = 0,
                 world: int = 1, accumulation: int = 1) -> None:
        if features.dim() != 2 or labels.shape != features.shape[:1]:
            raise ValueError(f"features and labels must have shapes (n, D) and (n,), got {tuple(features.shape)} and "
                             f"{tuple(labels.shape)}")
        self._features, self._device = features, torch.device(device)
        self._parts = _Parts(labels, batch_size, device, rank, world, accumulation)

    def epoch(self, order: npt.ArrayLike, epoch: int) -> Iterator[list[Batch]]:
        """Yield, for every global batch, this process's part of it; cached features are the same in every epoch."""
        positions = torch.as_tensor(np.asarray(order, dtype=np.int64))
        for parts in self._parts.walk(order):
            for batch, place in parts:
                batch.embedding = self._rows(batch.indices, positions[place])
            yield [batch for batch, _ in parts]

    def _rows(self, on_device: Tensor, on_host: Tensor) -> Tensor:
        """Return the features at positions, given on the device and on the host, so that neither waits for the other."""
        if self._features.device.type == self._device.type:
            return take_rows(self._features, on_device)
        return take_rows(self._features, on_host).pin_memory().to(self._device, non_blocking=True)


def evaluation_batches(source: ImageSource, indices: Tensor | npt.ArrayLike, batch_size: int, device: torch.device | str,
                       rank: int = 0, world: int = 1,
                       windows: Callable[[Tensor], Floats | None] | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each image once over all processes: rank r takes positions r, r + world, r + 2 world and so on.

    Padding the last batch, as distributed samplers do, would count images twice.

    Args:
        indices: Which of them to go through, int64, shape (n,).
        windows: Positions -> the random numbers of the windows that images are decoded from; None for whole images.

    Yields:
        Positions in ``indices``, int64, on the CPU, shape (B,), and images, uint8, shape (B, channels, height, width).
    """
    own = torch.arange(len(np.asarray(indices)))[rank::world]  # arange(rank, ...) refuses more processes than images
    yield from batches_at(source, indices, torch.split(own, batch_size) if len(own) else (), device, windows)


def batches_at(source: ImageSource, indices: Tensor | npt.ArrayLike, batches: Sequence[Tensor], device: torch.device | str,
               windows: Callable[[Tensor], Floats | None] | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of given batches.

    Args:
        indices: Which of them positions count, int64, shape (n,).
        batches: Positions, int64, on the CPU, each of shape (B,).

    Yields:
        Positions and images, as :func:`evaluation_batches`.
    """
    wanted = torch.as_tensor(np.asarray(indices, dtype=np.int64))
    requests = (Request(wanted[positions].numpy(), (windows(positions) if windows else None,)) for positions in batches)
    stream = Stream(source, device)
    for positions, (pixels,) in zip(batches, stream.serve(requests), strict=True):
        yield positions, pixels
