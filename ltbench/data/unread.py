"""Files among images that are not read, though they hold pictures or archives: by how they begin, whatever their names."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress

# JPEG, PNG, GIF, TIFF and most cameras' own, WebP, JPEG XL, JPEG 2000, Photoshop, HEIC and AVIF, and a CR3; DICOM begins later.
_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|II\*\0|MM\0\*|RIFF....WEBP|\xff\x0a|\0\0\0\x0c(JXL |jP  )|8BPS|"
                      rb"....ftyp(hei|hev|mif|msf|avi|crx)|.{128}DICM", re.DOTALL)
_ARCHIVE = re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh\d|\xfd7zXZ|.{257}ustar", re.DOTALL)
_HEAD = 512  # bytes


def is_archive(path: bytes) -> bool:
    """Return whether a file is an archive, or packed."""
    return bool(_ARCHIVE.match(_head(path)))


def say_pictures(name: str, others: Iterable[bytes]) -> None:
    """Warn of files that hold pictures, or are archives, and are not read, as their names do not end as those of images do.

    Args:
        name: Of the set.
        others: Paths of files that are not read; all are looked into.
    """
    held = [path for path in sorted(others) if _PICTURE.match(head := _head(path)) or _ARCHIVE.match(head)]
    if held:
        print(f"warning: {name} leaves out files that are no images by their names and may hold some, at least {len(held):,}, "
              f"the first {os.fsdecode(held[0])!r}", file=sys.stderr)


def _head(path: bytes) -> bytes:
    with suppress(OSError):  # what may not be read is told by nobody
        if os.path.isfile(path):  # a pipe would be waited for
            with open(path, "rb") as file:
                return file.read(_HEAD)
    return b""
