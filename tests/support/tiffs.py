"""TIFF files of one strip that Pillow opens and does not write."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def tiff(pixels: bytes, width: int, *, bits: Sequence[int], photometric: int, extra: int | None = None, order: str = "<",
         signed: bool = False) -> bytes:
    """Return an uncompressed TIFF.

    Args:
        pixels: Row by row.
        bits: Of each sample of a pixel.
        photometric: 0 for white at zero, 1 for black at zero, 2 for RGB, 3 for a palette, 8 for LAB.
        extra: What the last sample is: 1 is alpha that the others were multiplied by, 2 is plain alpha.
        order: ``<`` for the lower byte first, ``>`` for the higher one.
    """
    height = len(pixels) * 8 // (sum(bits) * width)
    tags: dict[int, Sequence[int]] = {256: [width], 257: [height], 258: bits, 259: [1], 262: [photometric], 273: [8],
                                      277: [len(bits)], 278: [height], 279: [len(pixels)]}
    if extra is not None:
        tags[338] = [extra]
    if signed:
        tags[339] = [2]
    behind = 8 + len(pixels)
    entries, longer = b"", b""
    start = behind + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) > 4:
            packed, longer = struct.pack(f"{order}L", start + len(longer)), longer + packed
        entries += struct.pack(f"{order}HHL", tag, 3, len(values)) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, behind)
    return head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + longer
