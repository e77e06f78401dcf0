"""The check of a folder: which files of it are records, and what they say against each other."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.results.reading import parse
from ltbench.results.records import is_record
from ltbench.trust.ground import Ground
from ltbench.trust.others import Sound, check_others
from ltbench.trust.record import check_value, unread
from ltbench.trust.remark import Remark, error, refused

RESULTS = "results"  # of a board: what else lies in it is made from them
_DEEPEST = 32
_ENDINGS = (".json", ".npz", ".safetensors")


Problems: TypeAlias = list[Remark] | None  # None of a file that is a record only if it bears a mark of one


def record_files(folder: Path, *, strict: bool = False, depth: int = 0) -> Iterator[tuple[Path, Problems]]:
    """Yield every file below a folder that is, or may be, a record, and why it must not be opened.

    Hidden files are left alone, links are not followed. Of a board, only ``results`` is looked at, and all JSON there must be
    records; elsewhere JSON that bears no mark of a record is left alone.

    Args:
        folder: A folder of records, a board, or a folder of boards.
        strict: Whether it lies in the results of a board.
        depth: How many folders it lies in.

    Raises:
        OSError: If the folder cannot be read.
    """
    strict = strict or folder.name == RESULTS
    for name in [RESULTS] if (folder / RESULTS).is_dir() else sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith("."):
            continue
        try:
            kind = path.lstat().st_mode
            if stat.S_ISLNK(kind):
                if strict or name == RESULTS or path.suffix in _ENDINGS:
                    yield path, [error("", "must be a file of its own, not a link")]
            elif stat.S_ISDIR(kind):
                if path.suffix in _ENDINGS:
                    yield path, [error("", "must be a file, not a folder")]
                if depth == _DEEPEST:
                    yield path, [error("", f"folders must be nested at most {_DEEPEST} deep")]
                else:
                    yield from record_files(path, strict=strict, depth=depth + 1)
            elif path.suffix == ".json":
                yield path, [] if strict else None
        except OSError as problem:
            yield path, [error("", f"cannot be read: {problem.strerror}")]


def check_records(paths: Iterable[tuple[Path, Problems]], registry: Registry, ground: Ground) -> dict[Path, list[Remark]]:
    """Check records, each alone and against the others.

    Args:
        paths: With what is wrong with them as files.

    Returns:
        What was found, by file; without those that are no records.
    """
    found: dict[Path, list[Remark]] = {}
    sound: list[Sound] = []
    for path, problems in paths:
        if problems:
            found[path] = problems
            continue
        try:
            value = parse(path)
        except UserError as problem:  # a broken file too may be one: nobody can say what it is
            found[path] = [unread(path, problem)]
            continue
        if problems is None and not is_record(value):
            continue
        record, found[path], tested = check_value(path, value, registry, ground)
        if record is not None and not refused(found[path]):
            sound.append(Sound(path, record, tested))
    against = list(check_others(sound))
    for path, remark in reversed([one for one in against if one[1].level == "error"]):  # the first one stands on top
        found[path].insert(0, remark)
    for path, remark in against:
        if remark.level != "error" and not refused(found[path]):
            found[path].append(remark)
    return found
