"""Pack a dataset: its images' own bytes in tar shards that other tools read too, and an index beside them."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tqdm import tqdm

from ltbench.data.encoded import EncodedImages
from ltbench.data.pack_index import NAME, Shard, encode_index, member_name
from ltbench.data.parts import Parts
from ltbench.data.tar_images import BLOCK
from ltbench.errors import UserError
from ltbench.system.atomic import remove, sweep, sync, temporary_beside

_SHARD = 1 << 30  # bytes that no shard passes, but for one with a single image
_END = tarfile.RECORDSIZE  # of zeros at most: what ends a tar
_ENTRY = 40  # bytes of the index for an image at most, without its name


def write_pack(folder: Path, name: str, parts: Parts, *, replace: bool = False) -> list[Shard]:
    """Copy the images of a set, byte by byte, into the shards of a folder that appears whole or not at all.

    The same images give the same bytes on every machine. One image is in memory at a time, and the index.

    Returns:
        The shards, part by part.

    Raises:
        UserError: If the set's images are not encoded files, one cannot be read, the validation list is damaged, the folder is
            there, or the disk has no room.
    """
    if parts.val_problem is not None:  # a pack without it would look whole
        raise UserError(parts.val_problem)
    sources = {part: source for part, source in (("train", parts.train), ("test", parts.test), ("val", parts.val)) if source}
    images = {part: source for part, source in sources.items() if isinstance(source, EncodedImages)}
    if len(images) < len(sources):
        raise UserError(f"a set must have its images in files of their own to be packed; {name!r} is one tensor in memory")
    if os.path.lexists(folder) and not replace:
        raise UserError(f"{str(folder)!r} is there already; --force replaces it")
    _require_room(folder, images)
    with _appearing(folder) as temporary:
        shards = [shard for part, source in images.items() for shard in _write_part(temporary, part, source)]
        (temporary / NAME).write_bytes(encode_index(name, shards))
    return shards


def _write_part(folder: Path, part: str, source: EncodedImages) -> list[Shard]:
    shards: list[Shard] = []
    tar: tarfile.TarFile | None = None
    with ExitStack() as opened:
        images = zip(source.paths.names(), source.labels.tolist(), strict=True)
        told = tqdm(images, desc=f"packing {part}", unit="image", total=len(source.paths), disable=None, leave=False)
        for row, (name, label) in enumerate(told):
            content = source.read(row).tobytes()
            if tar is None or tar.offset + _room(len(content)) + _END > _SHARD:
                opened.close()
                shards.append(Shard(f"{part}-{len(shards):06d}.tar", part))
                tar = opened.enter_context(tarfile.open(folder / shards[-1].shard, "w", format=tarfile.USTAR_FORMAT))
            shard = shards[-1]
            shard.names.append(os.fsdecode(name))
            shard.labels.append(label)
            shard.offsets.append(tar.offset + BLOCK)
            shard.sizes.append(len(content))
            member = member_name(row, name)
            _add(tar, member, content)
            _add(tar, f"{os.path.splitext(member)[0]}.cls", str(label).encode())
    for shard in shards:
        shard.bytes = (folder / shard.shard).stat().st_size
    return shards


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # of nobody, and of no time
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _room(size: int) -> int:
    """Return the bytes that an image of some size takes with its label: two headers, and both contents in whole blocks."""
    return 3 * BLOCK + -(-size // BLOCK) * BLOCK


def _require_room(folder: Path, images: dict[str, EncodedImages]) -> None:
    """Look at every image's size before anything is written, and name what is not there."""
    needed, missing, first = 0, 0, ""
    for source in images.values():
        needed += _END
        for index, name in enumerate(source.paths.names()):
            try:
                needed += _room(source.stored_bytes(index)) + _ENTRY + len(name)
            except OSError as error:
                first = first or f"{source.paths[index]!r} ({error.strerror})"
                missing += 1
    if missing:
        raise UserError(f"{missing} images cannot be read, the first of them {first}")
    try:
        free = shutil.disk_usage(folder.parent).free
    except OSError as error:
        raise UserError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    if needed > free:
        raise UserError(f"{str(folder.parent)!r} must have {needed / 1e9:.2f} GB free for the pack, got {free / 1e9:.2f} GB")


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Make a folder beside another, whose name it takes when it is whole."""
    sweep(folder.parent)
    temporary, old = temporary_beside(folder), temporary_beside(folder)
    try:
        temporary.mkdir()
        yield temporary
        for file in (*temporary.iterdir(), temporary):
            sync(file)
        if os.path.lexists(folder):  # a folder cannot take the place of one that holds something
            os.rename(folder, old)
        try:
            os.rename(temporary, folder)
        except OSError:
            if os.path.lexists(old):
                os.rename(old, folder)
            raise
        sync(folder.parent)
        remove(old)
    except OSError as error:
        raise UserError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    finally:
        remove(temporary)
