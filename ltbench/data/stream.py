"""Images that are fetched ahead of time, by worker processes where they have to be decoded."""

from __future__ import annotations

import functools
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, runtime_checkable
from typing import Protocol as Interface

import torch
from torch import Tensor, multiprocessing
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ltbench.data.arrays import Bytes, Floats, Ints
from ltbench.data.parts import ImageSource
from ltbench.data.windows import NAME as WINDOW
from ltbench.errors import UserError
from ltbench.system.settings import data_workers
from ltbench.system.stopping import SIGNALS

IN_MEMORY = f"augmentation {WINDOW!r} is for images that are decoded from files; these are in memory: use 'crop'"
# A worker's answer waits in /dev/shm, 9.6 MB for 64 views of 224 x 224: of whole batches, 16 workers filled gigabytes.
_PIECE, _AHEAD = 64, 2

Views = list[Tensor] | list[Bytes]


@runtime_checkable
class Decoder(Interface):
    """Decode images from files, in several views."""

    def decode(self, indices: Ints, windows: Sequence[Floats | None]) -> list[Tensor]:
        """Return the views, uint8, shape (B, channels, s, s); see :meth:`ltbench.data.encoded.EncodedImages.decode`."""
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

    def pieces(self, size: int) -> list[Request]:
        """Return requests for at most ``size`` images each that ask for the same, in order."""
        starts = range(0, max(1, len(self.indices)), size)
        return [Request(self.indices[start:start + size],
                        [None if drawn is None else drawn[start:start + size] for drawn in self.windows]) for start in starts]


class Stream:
    """Serve requests in their order; what comes depends on the requests alone, not on the number of workers.

    Workers live as long as the stream, over any number of epochs.
    """

    def __init__(self, source: ImageSource, device: torch.device | str = "cpu") -> None:
        self._work = _Work(source)
        self._device = torch.device(device)
        self._queue = _Queue()
        workers = data_workers() if isinstance(source, Decoder) else 0
        # A generator of its own: a loader draws a seed each time, and from torch's generator it would change what methods draw.
        self._loader = DataLoader(
            self._work, sampler=self._queue, batch_size=None, num_workers=workers, pin_memory=self._device.type == "cuda",
            prefetch_factor=_AHEAD, persistent_workers=True, worker_init_fn=quiet, collate_fn=_as_it_is,
            generator=torch.Generator()) if workers else None

    def serve(self, requests: Iterable[Request]) -> Iterator[list[Tensor]]:
        """Yield the views of each request, on the device.

        Args:
            requests: Read a few ahead of what is served.
        """
        if self._loader is None:
            yield from (self._views(self._work[request], copy=False) for request in requests)
            return
        sizes: deque[int] = deque()  # how many pieces each request was cut into, of those read and not yet served
        self._queue.requests = _cut(requests, sizes)
        served = started(self._loader)
        if served is None:
            yield from (self._views(self._work[request], copy=False) for request in requests)
            return
        answers = (self._views(answer, copy=True) for answer in served)
        with workers_alive():
            for first in answers:
                pieces = [first, *islice(answers, sizes.popleft() - 1)]
                # On the device: what is pinned can be copied while it computes, and a joined copy would not be pinned.
                joined = first if len(pieces) == 1 else [torch.cat(views) for views in zip(*pieces, strict=True)]
                del first, pieces  # or they would lie there while the caller trains
                yield joined

    def _views(self, answer: Views | str, *, copy: bool) -> list[Tensor]:
        """Put views on the device; a copy, even there, frees the shared memory that they came in."""
        if isinstance(answer, str):
            raise UserError(answer)
        if not all(isinstance(view, Tensor) for view in answer):
            _warn("shared memory (/dev/shm) is full: decoded images come through pipes, which is slower; a container gets more "
                  "of it with --shm-size")
        here = (view if isinstance(view, Tensor) else torch.from_numpy(view).permute(0, 3, 1, 2) for view in answer)
        return [view.to(self._device, non_blocking=True, copy=copy) for view in here]


def _cut(requests: Iterable[Request], sizes: deque[int]) -> Iterator[Request]:
    for request in requests:
        pieces = request.pieces(_PIECE)
        sizes.append(len(pieces))
        yield from pieces


class _Queue(Iterable[Request]):
    """Hand a loader the requests of one epoch after the other."""

    requests: Iterable[Request] = ()

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)


class _Work(Dataset[Any]):
    """Answer requests, in a worker or at home."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source

    def __getitem__(self, request: Request) -> Views | str:
        if not isinstance(self._source, Decoder):
            if any(drawn is not None for drawn in request.windows):
                return IN_MEMORY
            return [self._source.fetch(torch.from_numpy(request.indices))] * len(request.windows)
        try:
            views = self._source.decode(request.indices, request.windows)
        except UserError as error:
            # Raised at home: a worker's exception would bring its traceback along.
            return f"{error}; --unreadable skip leaves such images out"
        return views if get_worker_info() is None else _shared(views)


def _shared(views: Sequence[Tensor]) -> Views:
    """Put views into shared memory; where it has no room, return what a queue sends through its pipe, channels last.

    Left to the queue, which shares tensors in a thread of its own, an answer without room would be lost, and be waited for for
    ever.
    """
    try:
        return [view.share_memory_() for view in views]  # type: ignore[no-untyped-call]
    except RuntimeError:
        return [view.permute(0, 2, 3, 1).contiguous().numpy() for view in views]


def _as_it_is(answer: Views | str) -> Views | str:
    """Leave arrays arrays: the usual one makes tensors of them."""
    return answer


def started(loader: DataLoader[Any]) -> Iterator[Any] | None:
    """Start the processes of a loader; None, and a warning, where none can be started: whoever asks decodes images itself."""
    try:
        multiprocessing.Lock()  # which a queue needs, and which lies in /dev/shm
        return iter(loader)
    except OSError as error:
        _warn(f"no process can be started to decode images ({error.strerror}): this one decodes them, which is slower")
        return None


@functools.cache
def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


_DEAD = "a process that decodes images has died, killed or out of memory: fewer of them (LTBENCH_WORKERS) need less"


def died(error: BaseException) -> UserError | None:
    """Return what to tell a user, where torch says that a worker is no more; it looks when one is waited for, and on SIGCHLD."""
    if not (isinstance(error, RuntimeError) and "DataLoader worker" in str(error)):
        return None
    return UserError(_DEAD)


@contextmanager
def workers_alive() -> Iterator[None]:
    """Say in one line that a worker has died.

    Raises:
        UserError: If one has.
    """
    try:
        yield
    except (ConnectionError, EOFError) as error:
        # Its answer was being fetched. torch's handler of SIGCHLD says so too, a moment later: here, not in whatever runs then.
        with suppress(RuntimeError):
            for _ in range(20):
                time.sleep(0.1)
        raise UserError(_DEAD) from error
    except RuntimeError as error:
        raise died(error) or error from error


def quiet(worker: int) -> None:
    """Let a worker ignore the signals that end the main process, which ends its workers itself.

    SIGTERM is left alone: it is what the main process ends them with.
    """
    for number in {signal.SIGINT, *SIGNALS} - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
