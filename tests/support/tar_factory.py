"""Tar files of made-up members, as WebDataset and others write them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path


def write_tar(file: Path, members: Iterable[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", format=form) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


def samples(labels: Iterable[object], start: int = 0, label_as: str = "cls") -> list[tuple[str, bytes]]:
    """Return the members of a shard as WebDataset writes them, image and class in turn."""
    found = []
    for row, label in enumerate(labels, start=start):
        text = json.dumps({"label": label, "more": 1}) if label_as == "json" else str(label)
        found += [(f"{row:05d}.png", f"image {row}".encode()), (f"{row:05d}.{label_as}", text.encode())]
    return found
