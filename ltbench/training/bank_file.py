"""A feature bank on disk: raw float32 rows that are mapped into memory, and beside them what is known to be whole.

``bank-plain.rows`` holds the rows and nothing else; ``bank-plain.json`` their shape and type and the sha256 of every finished
chunk. While a bank is made its rows are in ``bank-plain.part``. A chunk counts once its rows have reached the disk and its digest
after them, so a run that is killed at any moment goes on at the first chunk without one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
from torch import Tensor

from ltbench.system.atomic import write_whole
from ltbench.system.mapped import map_rows
from ltbench.training.files import not_written

CHUNK = 4096  # rows: 32 MiB of 2,048 features
_TYPE = np.dtype(np.float32).str  # with the order of bytes
_sound: set[tuple[str, int, int, int]] = set()  # files whose digests this process has checked


class BankFile:
    """Keep the features of a whole split; one process at a time may make them, and any number may read them."""

    def __init__(self, folder: Path, name: str, rows: int, width: int) -> None:
        self._rows_file, self._part, self._facts = (folder / f"{name}{ending}" for ending in (".rows", ".part", ".json"))
        self._before = folder / f"{name}.safetensors"  # how banks were kept once
        self._rows, self._width = rows, width
        self._digests: list[str] = []

    def read(self) -> Tensor:
        """Return the finished rows, mapped, shape (N, D)."""
        with self._rows_file.open("rb") as file:
            return map_rows(file, self._width)

    def finished_rows(self) -> int:
        """Return how many leading rows are there and sound: N of a finished bank.

        A damaged bank counts as empty, and one line on stderr says so. Its file is replaced, never changed: another process may
        have it mapped.
        """
        digests = self._noted()
        if self._rows_file.is_file():
            if self._is_sound(digests):
                return self._rows
            print(f"warning: {self._rows_file} is damaged: it is computed again", file=sys.stderr)
            digests = []
        self._digests = [digest for digest, _ in takewhile(lambda pair: pair[0] == pair[1],
                                                           zip(digests, self._found(self._part), strict=False))]
        there = min(self._rows, CHUNK * len(self._digests))
        if there == self._rows:  # killed after the last chunk
            self._finish()
        return there

    def write(self, chunks: Iterator[Tensor], confirm: Callable[[], bool] = lambda: True) -> None:
        """Write the chunks that are missing, and finish the file; where another process had it in between, leave it as that did.

        Args:
            chunks: Float32, shape (CHUNK, D), the last one shorter, from the first row on that :meth:`finished_rows` did not
                count; they are computed between writing and writing.
            confirm: Called before each is written; returns whether no other process has had the bank meanwhile.
        """
        self._start()
        for chunk in chunks:
            if not confirm():
                deque(chunks, maxlen=0)  # the processes that take part in computing them go on as well
                return
            try:
                self._put(chunk)
            except OSError as error:
                raise not_written(self._part, error) from error
        self._finish()

    def _finish(self) -> None:
        try:
            os.replace(self._part, self._rows_file)
        except OSError as error:
            raise not_written(self._rows_file, error) from error
        _sound.add(_identity(self._rows_file))  # as it was written

    def _start(self) -> None:
        try:
            self._before.unlink(missing_ok=True)
            self._rows_file.unlink(missing_ok=True)
            with self._part.open("ab") as file:
                file.truncate(4 * self._width * min(self._rows, CHUNK * len(self._digests)))  # what a killed run half wrote
        except OSError as error:
            raise not_written(self._part, error) from error

    def _put(self, chunk: Tensor) -> None:
        numbers = np.ascontiguousarray(chunk.detach().cpu().numpy(), dtype=np.float32)
        with self._part.open("r+b") as file:
            file.seek(4 * self._width * CHUNK * len(self._digests))
            file.write(numbers.data)
            file.flush()
            os.fsync(file.fileno())
        self._digests.append(hashlib.sha256(numbers.data).hexdigest())
        facts = {"rows": self._rows, "width": self._width, "type": _TYPE, "chunk": CHUNK, "sha256": self._digests}
        write_whole(self._facts, json.dumps(facts).encode())

    def _noted(self) -> list[str]:
        """Return the digests of finished chunks; none where the facts are damaged or are of other rows."""
        try:
            facts = json.loads(self._facts.read_text(encoding="ascii"))
            digests: list[str] = facts.pop("sha256")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []
        return digests if facts == {"rows": self._rows, "width": self._width, "type": _TYPE, "chunk": CHUNK} else []

    def _is_sound(self, digests: list[str]) -> bool:
        identity = _identity(self._rows_file)
        if identity in _sound:
            return True
        whole = identity[2] == 4 * self._rows * self._width
        if not (whole and digests == list(self._found(self._rows_file))):
            return False
        _sound.add(identity)
        return True

    def _found(self, path: Path) -> Iterator[str]:
        """Yield the digests of the chunks that a file holds, the last one however short it is."""
        if not path.is_file():
            return
        with path.open("rb") as file:
            while chunk := file.read(4 * self._width * CHUNK):
                yield hashlib.sha256(chunk).hexdigest()


def unkept(chunks: Iterator[Tensor], folder: Path, width: int) -> Tensor:
    """Return rows that nobody keeps, mapped from a file without a name: it is gone when they are, however the process ends.

    Args:
        chunks: Float32, each of shape (n, D).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise not_written(folder, error) from error
    with file:
        for chunk in chunks:
            try:
                file.write(np.ascontiguousarray(chunk.detach().cpu().numpy(), dtype=np.float32).data)
                file.flush()
            except OSError as error:
                raise not_written(folder, error) from error
        return map_rows(file, width)


def _identity(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns
