"""What becomes of the modes in which Pillow opens files: red, green and blue of 8 bits each.

They become what torchvision's default loader makes of them, ``Image.open(...).convert("RGB")``, but for gray values of more than
8 bits, which it would cut off at 255. docs/input-pipeline.md has the table.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION

from ltbench.errors import UserError

# Formats whose gray values of 16 bits go from black at 0 to white at 65,535; elsewhere they are measurements, or have a sign.
_SIXTEEN_BITS = ("JPEG2000", "PNG", "PPM", "TIFF")


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
    elif image.mode[0] in "IF":
        raise UserError(f"mode {image.mode} of a file of format {image.format} does not say which gray values are black and "
                        "white; save it as a PNG of 8 or 16 bits")
    elif image.mode == "La":
        image = image.convert("LA")  # divided by the transparency; what is RGBA comes so
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the upper 8 of 16 bits, or of the 12 that a TIFF may have."""
    gray, bits = np.asarray(image).astype(np.uint16), 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        (bits,) = image.tag_v2[BITSPERSAMPLE]
        if image.tag_v2[PHOTOMETRIC_INTERPRETATION] == 0:  # white is zero; with 8 bits and fewer, Pillow inverts them itself
            gray = ~gray
    return Image.fromarray((gray >> (bits - 8)).astype(np.uint8))
