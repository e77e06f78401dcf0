"""What images hold, as far as it can be told without reading all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ltbench.data.copies import stored_sizes
from ltbench.data.encoded import END, EncodedImages
from ltbench.errors import UserError
from ltbench.system.threads import in_threads

_READ = 64  # images that are read whole
_PLAIN = (b".bmp", b".tif", b".tiff", b".ppm", b".pgm", b".pbm", b".pnm", b".tga")  # other pixels take as many bytes there
_JPEG = (b".jpg", b".jpeg", b".jpe", b".jfif")  # of which there may be millions; no two pictures take as many bytes, as a rule
_WHOLE = 1 << 30  # bytes of a part that are read whole, in 1.3 s where they are in memory; of more the ends are read
_THREADS = 8  # reading waits for the disk


def content_digest(source: EncodedImages, *, official: bool = False) -> str:
    """Return a digest of every image's size and of what some hold; copies elsewhere have the same one.

    Names alone do not tell one user's ``cats/1.jpg`` from another's, nor from the same one scaled down. Sizes do, as a rule, and
    64 images, evenly spaced, are read to be sure. Where pixels are not compressed, or an image is so small that another may well
    have its size (a drawing in a PNG), each is read.

    Args:
        official: Whether somebody published the images, whose pixels nobody changes then: the 64 will do.
    """
    sizes = stored_sizes(source)
    digest = hashlib.sha256(np.array(sizes, dtype="<i8").tobytes())
    spaced = np.unique(np.linspace(0, len(sizes) - 1, _READ).astype(int)).tolist() if sizes else ()
    for held in _digests(source, spaced, whole=True):
        digest.update(held)
    named = zip(map(bytes.lower, source.paths.names()), sizes, strict=True)
    more = [index for index, (name, size) in enumerate(named)
            if size > 0 and not official and (name.endswith(_PLAIN) or size <= END and not name.endswith(_JPEG))]
    for held in _digests(source, more, whole=sum(sizes[index] for index in more) <= _WHOLE):
        digest.update(held)
    return digest.hexdigest()


def _digests(source: EncodedImages, indices: Sequence[int], *, whole: bool) -> list[bytes]:
    """Return digests of images, or of their ends."""
    def held(index: int) -> bytes:
        try:
            return hashlib.sha256((source.read(index) if whole else source.read_end(index)).data).digest()
        except UserError:
            return b"-"  # whoever decodes it will say why

    return list(in_threads(held, indices, _THREADS))
