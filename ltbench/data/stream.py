"""Images that are fetched ahead of time, by worker processes where they have to be decoded."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, runtime_checkable
from typing import Protocol as Interface

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ltbench.data.arrays import Floats, Ints
from ltbench.data.base import ImageSource
from ltbench.data.windows import NAME as WINDOW
from ltbench.errors import UserError
from ltbench.settings import data_workers

IN_MEMORY = f"augmentation {WINDOW!r} is for images that are decoded from files; these are in memory: use 'crop'"
_AHEAD = 2


@runtime_checkable
class Decoder(Interface):
    """Decode images from files, in several views."""

    def decode(self, indices: Ints, windows: Sequence[Floats | None]) -> list[Tensor]:
        """Return the views, uint8, shape (B, channels, s, s); see :meth:`ltbench.data.files.FileImages.decode`."""
        ...


@dataclass(frozen=True)
class Request:
    """Ask for some images.

    Args:
        indices: Positions in the source, int64, shape (B,).
        windows: For each view None, or the random numbers of its windows, shape (B, draws).
    """

    indices: Ints  # numpy's: a tensor would travel to a worker through shared memory
    windows: Sequence[Floats | None] = (None,)


class Stream:
    """Serve requests in their order; what comes depends on the requests alone, not on the number of workers.

    Workers live as long as the stream, over any number of epochs.

    Args:
        source: Of the images.
        pin: Whether to put images into memory that a GPU can read by itself.
    """

    def __init__(self, source: ImageSource, *, pin: bool = False) -> None:
        self._work = _Work(source)
        self._queue = _Queue()
        workers = data_workers() if isinstance(source, Decoder) else 0
        # A generator of its own: a loader draws a seed each time, and from torch's generator it would change what methods draw.
        self._loader = DataLoader(
            self._work, sampler=self._queue, batch_size=None, num_workers=workers, pin_memory=pin, generator=torch.Generator(),
            prefetch_factor=_AHEAD, persistent_workers=True, worker_init_fn=_quiet) if workers else None

    def serve(self, requests: Iterable[Request]) -> Iterator[list[Tensor]]:
        """Yield the views of each request.

        Args:
            requests: Read a few ahead of what is served.

        Raises:
            UserError: If an image cannot be had.
        """
        self._queue.requests = requests
        for answer in self._loader if self._loader is not None else map(self._work.__getitem__, requests):
            if isinstance(answer, str):
                raise UserError(answer)
            yield answer


class _Queue(Iterable[Request]):
    """Hand a loader the requests of one epoch after the other."""

    requests: Iterable[Request] = ()

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)


class _Work(Dataset[Any]):
    """Answer requests, in a worker or at home."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source

    def __getitem__(self, request: Request) -> list[Tensor] | str:
        if not isinstance(self._source, Decoder):
            if any(drawn is not None for drawn in request.windows):
                return IN_MEMORY
            return [self._source.fetch(torch.from_numpy(request.indices))] * len(request.windows)
        try:
            return self._source.decode(request.indices, request.windows)
        except UserError as error:
            return str(error)  # raised at home: a worker's exception would bring its traceback along


def _quiet(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C the main process ends the workers; they need not say so too
