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
        # of L and its kin, the mode does not tell
        raise _no_white(image.mode if image.mode[0] in "IF" else f"{image.mode} with a sign", image.format)
    elif image.mode == "La":
        image = image.convert("LA")  # divided by the transparency; what is RGBA comes so
    return image.convert("RGB")


def check_jpeg2000(mode: str, content: bytes) -> None:
    """Look into the header of a JPEG 2000, for the mode does not tell what its values are.

    Args:
        mode: In which Pillow opens it.

    Raises:
        UserError: If values have a sign, which Pillow shifts by half their range; or more than 8 bits in another mode than
            that of gray values of 16: Pillow rounds them up to 256, which is 0.
    """
    _, _, sizes = content.partition(_SIZES)
    count = int.from_bytes(sizes[36:38], "big")
    depths = sizes[38:38 + 3 * count:3]  # of each component: whether it has a sign in the upper bit, and its bits less one
    if any(depth & 0x80 for depth in depths):
        raise _no_white(f"{mode} with a sign", "JPEG2000")
    bits = max((depth + 1 for depth in depths), default=0)
    if bits > 8 and mode != "I;16":
        raise UserError(f"mode {mode} of a JPEG 2000 of {bits} bits would have its white as black; save it as a PNG")


def _no_white(mode: str, kind: str | None) -> UserError:
    return UserError(f"mode {mode} of a file of format {kind} does not say which gray values are black and white; "
                     "save it as a PNG of 8 or 16 bits")


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
