"""The store of finished stages, addressed by content: what two runs have in common is trained once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltbench.errors import UserError
from ltbench.system.atomic import sweep, sync, write_whole
from ltbench.system.holder import Holder, holders, tidy
from ltbench.system.lease import Lease

ENGINE = "engine.safetensors"
CHECKPOINT = "checkpoint.safetensors"
META = "meta.json"


@dataclass(frozen=True)
class Entry:
    """Describe one stored stage.

    Args:
        used: When it was last read, in seconds since 1970.
        meta: What it is; empty while it is unfinished.
    """

    key: str
    path: Path
    size: int
    used: float
    meta: dict[str, Any]


class StageStore:
    """Keep stages in folders named by their keys.

    A stage is finished when its metadata file is there, which is written last. Whoever makes or removes something in a stage's
    folder holds its lease.

    Args:
        limit: Bytes that finished stages may take; the least recently used go first.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root / "stages"
        self.limit = limit
        self._leases = root / "leases"
        self._held: dict[str, Lease] = {}

    def require_writable(self) -> None:
        """Make the folders."""
        try:
            for folder in (self.root, self._leases):
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            raise UserError(f"the cache folder {self.root.parent} cannot be written: {error.strerror}") from error

    def tidy(self) -> None:
        """Remove what killed processes left: half-written files, checkpoints of finished stages, leases."""
        sweep(self.root, "??/*/")
        for checkpoint in self.root.glob(f"??/*/{CHECKPOINT}"):
            if self.has(checkpoint.parent.name):
                with suppress(OSError):
                    checkpoint.unlink()
        tidy(self._leases)

    def path(self, key: str) -> Path:
        """Return the folder of a stage."""
        return self.root / key[:2] / key

    def has(self, key: str) -> bool:
        """Tell whether a stage is finished."""
        return bool(_read_meta(self.path(key))) and (self.path(key) / ENGINE).is_file()

    def discard(self, key: str) -> None:
        """Remove what is kept of a stage, because it is damaged."""
        shutil.rmtree(self.path(key), ignore_errors=True)
        self.path(key).mkdir(parents=True, exist_ok=True)

    def partial(self, key: str) -> Path | None:
        """Return the checkpoint of an unfinished stage, if there is one."""
        checkpoint = self.path(key) / CHECKPOINT
        return checkpoint if checkpoint.is_file() and not self.has(key) else None

    @contextmanager
    def lock(self, key: str, what: str = "") -> Iterator[None]:
        """Hold a stage against other processes; wait for the one that has it."""
        with Lease(self._leases, key, what or f"stored stage {key[:12]}").held() as lease:
            self.path(key).mkdir(parents=True, exist_ok=True)
            self._held[key] = lease
            try:
                yield
            finally:
                del self._held[key]

    def confirm(self, key: str) -> bool:
        """Make sure that a stage is held before something is put into it; return whether nobody else has had it in between.

        Args:
            key: Of a stage that this process holds, or that nobody else knows of.
        """
        return key not in self._held or self._held[key].confirm()

    def holders(self) -> dict[str, Holder]:
        """Return who holds which stage, by key."""
        return holders(self._leases)

    def meta(self, key: str) -> dict[str, Any]:
        """Read a finished stage's metadata and mark it as used."""
        with suppress(OSError):  # a store that others own can be read all the same
            os.utime(self.path(key) / META)
        return _read_meta(self.path(key))

    def finish(self, key: str, meta: dict[str, Any], *, durable: bool = True) -> None:
        """Mark a stage as finished, whose engine file has been written, and make room."""
        folder = self.path(key)
        write_whole(folder / META, json.dumps(meta, sort_keys=True).encode(), durable=durable)
        if durable:
            sync(folder)
        with suppress(OSError):  # housekeeping must not fail a finished stage
            (folder / CHECKPOINT).unlink(missing_ok=True)
            self.prune(self.limit, keep={key})

    def adopt(self, key: str, engine: bytes, meta: bytes) -> None:
        """Put in a finished stage that was made elsewhere; the caller holds it.

        Raises:
            UserError: If these are no stage's files, or cannot be written.
        """
        from ltbench.training.files import check_tensors

        folder = self.path(key)
        try:
            write_whole(folder / ENGINE, engine)
            check_tensors(folder / ENGINE)
            write_whole(folder / META, meta)
        except OSError as error:
            raise UserError(f"the cache folder {self.root.parent} cannot be written: {error.strerror}") from error
        if not _read_meta(folder):
            self.discard(key)
            raise UserError(f"{META} of stage {key[:12]} is none of a finished stage")
        self.make_room(key)

    def make_room(self, key: str) -> None:
        """Prune to the limit after something was added to a stage that must stay."""
        with suppress(OSError):  # housekeeping must not fail a run
            self.prune(self.limit, keep={key})

    def entries(self) -> list[Entry]:
        """Return all stages, the least recently used first."""
        found = []
        for folder in self.root.glob("??/*/"):
            try:
                found.append(_entry(folder))
            except FileNotFoundError:  # another process removed it meanwhile
                continue
        return sorted(found, key=lambda entry: entry.used)

    def prune(self, limit: int, *, keep: set[str] | None = None) -> list[Entry]:
        """Remove the least recently used stages until the rest takes ``limit`` bytes; return what was removed.

        Stages to ``keep`` stay, and those that somebody holds.
        """
        entries = self.entries()
        size = sum(entry.size for entry in entries)
        removed = []
        for entry in entries:
            if size <= limit:
                break
            if entry.key in (keep or ()):
                continue
            lease = Lease(self._leases, entry.key, "removing it to make room")
            try:
                if not lease.attempt():
                    continue
            except UserError:  # others' leases, in a store that is shared with them
                continue
            shutil.rmtree(entry.path, ignore_errors=True)
            lease.release()
            size -= entry.size
            removed.append(entry)
        return removed


def _entry(folder: Path) -> Entry:
    size = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # temporary files come and go
            size += file.stat().st_size
    meta = _read_meta(folder)
    return Entry(folder.name, folder, size, (folder / META if meta else folder).stat().st_mtime, meta)


def _read_meta(folder: Path) -> dict[str, Any]:
    """Return a finished stage's metadata; nothing for an unfinished one, or where the file is damaged."""
    try:
        meta = json.loads((folder / META).read_text())
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) and {"what", "curve", "seconds"} <= meta.keys() else {}
