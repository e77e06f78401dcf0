"""What becomes of the modes in which Pillow opens files: red, green and blue of 8 bits each.

They become what torchvision's default loader makes of them, ``Image.open(...).convert("RGB")``, but for gray values of more than
8 bits, which it would cut off at 255. docs/input-pipeline.md has the table.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from ltbench.errors import UserError

# Formats whose gray values of 16 bits go from black at 0 to white at 65,535; elsewhere they are measurements, or have a sign.
_SIXTEEN_BITS = ("JPEG2000", "PNG", "PPM", "TIFF")
_SIZES = b"\xff\x4f\xff\x51"  # two markers: of a JPEG 2000's image, and of how large it is and how its components are


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image in mode RGB.

    Args:
        image: Loaded, as its format's plugin left it.

    Raises:
        UserError: If nothing says which of its values are black and white, naming its mode and format.
    """
    if image.mode == "RGB":
        return image  # converted, it would be copied
    # Pillow reads a PGM of 16 bits as numbers of 32.
    if image.mode.startswith("I;16") and image.format in _SIXTEEN_BITS or (image.mode, image.format) == ("I", "PPM"):
        image = _eight_bits(image)
    elif image.mode[0] in "IF" or _has_sign(image):
        mode = image.mode if image.mode[0] in "IF" else f"{image.mode} with a sign"  # of L and its kin, the mode does not tell
        raise UserError(f"mode {mode} of a file of format {image.format} does not say which gray values are black and white; "
                        "save it as a PNG of 8 or 16 bits")
    elif image.mode == "La":
        image = image.convert("LA")  # divided by the transparency; what is RGBA comes so
    return image.convert("RGB")


def jpeg2000_bits(content: bytes) -> int:
    """Return how many bits the widest component of a JPEG 2000 has: of more than 8 Pillow rounds colors up to 256, which is 0."""
    start = content.find(_SIZES)
    count = int.from_bytes(content[start + 40:start + 42], "big")
    return max(((byte & 0x7F) + 1 for byte in content[start + 42:start + 42 + 3 * count:3]), default=0)


def _has_sign(image: Image.Image) -> bool:
    """Return whether values of 8 bits go from -128 to 127, which Pillow reads as if they went from 0 to 255."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and 2 in image.tag_v2.get(SAMPLEFORMAT, ())


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the upper 8 of 16 bits, or of the 12 that a TIFF may have."""
    gray, bits = np.asarray(image).astype(np.uint16), 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        (bits,) = image.tag_v2[BITSPERSAMPLE]
        if image.tag_v2[PHOTOMETRIC_INTERPRETATION] == 0:  # white is zero; with 8 bits and fewer, Pillow inverts them itself
            gray = ~gray
    return Image.fromarray((gray >> (bits - 8)).astype(np.uint8))
