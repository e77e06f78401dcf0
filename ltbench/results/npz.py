"""Files of numpy arrays: the same bytes for the same arrays, and nothing in one that is read can run code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ltbench.results.reading import read_bytes

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a limit on what one read may bring


def pack(arrays: Mapping[str, npt.NDArray[Any]], *, compress: bool = True) -> bytes:
    """Return a .npz file: the same bytes for the same arrays, whenever they are written.

    Args:
        compress: Whether it may be worth the time: random fractions hardly get smaller.
    """
    buffer, method = io.BytesIO(), zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.compress_type = method
            info.create_system = 3  # zipfile would write the system that it runs on
            info.external_attr = 0o644 << 16
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def unpack(path: Path, names: Sequence[str], limit: int) -> dict[str, npt.NDArray[Any]]:
    """Read a file that :func:`pack` made.

    Args:
        names: Of all arrays that it must hold.
        limit: Bytes that it may unpack to; one that unpacks to more is damaged or hostile.

    Raises:
        Exception: Whatever damaged bytes do to zipfile, zlib and numpy's reader of headers.
    """
    content = read_bytes(path, limit)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if sorted(member.filename for member in members) != sorted(f"{name}.npy" for name in names):
        found = ", ".join(member.filename for member in members)
        raise ValueError(f"it must hold {', '.join(names)}, got {found[:200] or 'nothing'}")
    if any(member.compress_type not in _COMPRESSIONS for member in members):
        raise ValueError("it must be packed as numpy packs it")
    if (size := sum(member.file_size for member in members)) > limit:
        raise ValueError(f"it must unpack to at most {limit} bytes, got {size}")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


def reason(error: Exception) -> str:
    """Return what to tell a user of an error in reading such a file, in one line."""
    text = str(error.strerror if isinstance(error, OSError) and error.strerror else error)
    return (" ".join(text.split()) or type(error).__name__)[:300]
