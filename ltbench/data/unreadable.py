"""Leaving out the images of a task that cannot be decoded, where the user asks for that."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import PIL
import torch
from torch import Tensor

from ltbench.data.encoded import EncodedImages
from ltbench.data.inspection.readable import progress_bar, unreadable
from ltbench.data.longtail import Split, split_hash
from ltbench.data.parts import ImageSource
from ltbench.data.task_data import TaskData
from ltbench.errors import UserError
from ltbench.system.atomic import write_whole
from ltbench.system.settings import data_workers

_SHOWN = 3
_RULES = b"4"  # of decoding: what older ones read, newer ones may refuse
Positions = Mapping[str, list[int]]


def find_unreadable(data: TaskData, folder: Path, *, decode: bool = True, validates: bool = False) -> dict[str, list[int]]:
    """Decode every image of a task once, or remember what came of it.

    Args:
        folder: Where it is remembered, until a file changes in size or time.
        decode: Whether images may be opened; if not, those that nobody has tried yet count as readable.
        validates: Whether the set's own validation part is looked at, too.

    Returns:
        Positions in the training, the test and the validation part, sorted, under ``train``, ``test`` and ``val``.
    """
    found = {}
    for name, part, wanted in _parts(data):
        if isinstance(part, EncodedImages) and (validates or name != "val"):
            chosen = wanted.sort().values
            bad = _remembered(part.take(chosen), folder, f"{data.dataset.name}, {name} part", decode)
            found[name] = chosen[bad].tolist()
    return found


def leave_out(data: TaskData, found: Positions) -> TaskData:
    """Return the data of a task without some images; its split and its fingerprint say so.

    Raises:
        UserError: If no training image of a class is left, or no test or validation image at all.
    """
    if not any(found.values()):
        return data
    kept = {name: wanted[~torch.isin(wanted, torch.tensor(found.get(name, []), dtype=torch.int64))]
            for name, _, wanted in _parts(data)}
    train, parts = kept["train"], data.parts
    labels = parts.train.labels[train]
    counts = torch.bincount(labels, minlength=data.dataset.num_classes)
    for k in torch.nonzero(counts == 0)[:1, 0].tolist():
        raise UserError(f"class {data.class_names[k]!r} of {data.dataset.name} must keep a training image that can be "
                        f"read, got {int(data.class_counts[k])} that cannot")
    for name, called in (("test", "test"), ("val", "validation")):
        bad = found.get(name, [])
        if bad and len(kept[name]) == 0:
            raise UserError(f"{data.dataset.name} must keep a {called} image that can be read, got {len(bad)} that cannot")
    names = {name: _names(part, found.get(name, [])) for name, part, _ in _parts(data)
             if isinstance(part, EncodedImages) and (name != "val" or found.get(name))}
    digest = hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()
    fingerprint = hashlib.sha256(f"{data.fingerprint} {digest}".encode()).hexdigest()
    split = Split(train.numpy(), counts.numpy(),
                  hashlib.sha256(f"{split_hash(train.numpy())} {fingerprint}".encode()).hexdigest())
    left_out: dict[str, int | str] = {name: len(found.get(name, [])) for name in ("train", "test")}
    if found.get("val") and isinstance(parts.val, EncodedImages):
        left_out["val"] = len(found["val"])
        parts = replace(parts, val=parts.val.take(kept["val"]))
    left_out["sha256"] = digest
    return replace(data, parts=parts, split=split, test_indices=kept["test"], labels=labels, fingerprint=fingerprint,
                   unreadable=left_out)


def tell(data: TaskData, found: Positions) -> None:
    """Say on stderr which images are left out: how many, and the names of the first."""
    for name, part, wanted in _parts(data):
        if isinstance(part, EncodedImages) and (bad := found.get(name)):
            shown = ", ".join(map(repr, _names(part, bad[:_SHOWN]))) + (" and more" if len(bad) > _SHOWN else "")
            print(f"{data.dataset.name}: {len(bad)} of {len(wanted)} {name} images cannot be read and are left out: {shown}",
                  file=sys.stderr)


def _parts(data: TaskData) -> Iterator[tuple[str, ImageSource, Tensor]]:
    """Yield name, source and wanted positions of each part."""
    yield "train", data.parts.train, data.indices
    yield "test", data.parts.test, data.test_indices
    if data.parts.val is not None:
        yield "val", data.parts.val, torch.arange(len(data.parts.val.labels))


def _names(part: EncodedImages, positions: list[int]) -> list[str]:
    return [os.path.relpath(part.paths[index], part.paths.folder) for index in positions]


def _remembered(source: EncodedImages, folder: Path, what: str, decode: bool) -> list[int]:
    """Return which images of a source cannot be read, from a file of an earlier look at the same ones."""
    # Another Pillow may read what this one cannot.
    key = hashlib.sha256(_RULES + PIL.__version__.encode() + source.fingerprint.encode() + source.state()).hexdigest()
    file = folder / f"{key}.json"
    with suppress(OSError, ValueError):  # not there, or damaged
        return [int(index) for index in json.loads(file.read_text(encoding="utf-8"))]
    if not decode:
        return []
    progress = progress_bar(f"decoding {what}", len(source.paths))
    if progress is None:
        print(f"decoding {len(source.paths)} images once ({what})", file=sys.stderr)
    found = [index for index, _, _ in unreadable(source, data_workers(), progress)]
    with suppress(OSError):  # a cache that cannot be written is refused elsewhere, where it matters
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found).encode(), durable=False)
    return found
