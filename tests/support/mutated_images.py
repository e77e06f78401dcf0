"""Image files with damaged headers, and what becomes of them: ``python -m tests.support.mutated_images SEED COUNT SECONDS``.

Runs in a process of its own, so that its memory can be measured and its time limited. Case ``i`` of a seed is the same on every
machine with the same Pillow.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np
from PIL import Image

from ltbench.data.decoding import cut_middle, cut_window, read_picture
from ltbench.data.windows import DRAWS
from ltbench.errors import UserError
from ltbench.system.memory import peak_memory
from tests.support.tiffs import tiff

_HEADER = 160  # bytes at the start that are damaged most
_SECONDS = 900  # of a core: many times what the test takes, so who needs them hangs
_LARGE = 1 << 22  # pixels of images that are not compared, for the memory measured is to be the decoder's own
_EXTREMES = (0, 1, 2, 7, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS = (0, 1, 255, 256, 9000, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_ALREADY_RIGHT = ("1", "CMYK", "L", "LA", "LAB", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr")  # as Pillow converts them
_OPTIONS: dict[str, list[dict[str, object]]] = {
    "JPEG": [{"progressive": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"}],
    "TIFF": [{"compression": name} for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")],
    "WEBP": [{"lossless": True}],
}


def originals() -> list[bytes]:
    """Return a small file of every format and mode that Pillow writes, and some that it only reads."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((40, 28), Image.Resampling.BICUBIC)
    gray = np.asarray(picture.convert("L")).astype(np.uint16) << 8
    Image.init()
    found = {}
    for kind in sorted(set(Image.SAVE) - {"EPS", "IM", "PALM", "PDF", "SPIDER"}):
        for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"):
            image = Image.fromarray(gray) if mode == "I;16" else picture.convert(mode)
            for options in ({}, *_OPTIONS.get(kind, ())):
                stream = io.BytesIO()
                try:
                    image.save(stream, kind, **options)  # type: ignore[arg-type]
                except (OSError, ValueError, KeyError):  # the format has no such mode
                    continue
                found[stream.getvalue()] = None
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "MPO", "AVIF"):
        stream = io.BytesIO()
        picture.save(stream, kind, save_all=True, append_images=[picture.rotate(90)])
        found[stream.getvalue()] = None
    for bits in (12, 16):
        found[tiff(bytes(range(240)), 8, bits=[bits], photometric=0 if bits == 16 else 1)] = None
    return list(found)


def damaged(content: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Return a file with one to three changes, most of them in its header."""
    for _ in range(int(rng.integers(1, 4))):
        reach = len(content) if rng.random() < 0.15 else min(len(content), _HEADER)
        place = int(rng.integers(max(reach, 1)))
        match int(rng.integers(7)):
            case 0 | 1:
                content = content[:place] + bytes([int(rng.choice(_EXTREMES))]) + content[place + 1:]
            case 2:
                size, order = int(rng.choice((2, 4))), str(rng.choice(("little", "big")))
                number = int(rng.choice(_NUMBERS)) & (1 << 8 * size) - 1
                content = content[:place] + number.to_bytes(size, order) + content[place + size:]  # type: ignore[arg-type]
            case 3:
                content = content[:place] + rng.integers(0, 256, 4, dtype=np.uint8).tobytes() + content[place + 4:]
            case 4:
                content = content[:place] + content[place + int(rng.integers(1, 9)):]
            case 5:
                content = content[:place] + content[max(place - int(rng.integers(1, 40)), 0):]
            case _:
                other = others[int(rng.integers(len(others)))]
                content = content[:place] + other[place:] if rng.random() < 0.5 else content[:max(place, 8)]
    return content


def cases(seed: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Yield numbered files."""
    files = originals()
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        yield number, damaged(files[int(rng.integers(len(files)))], files, rng)


def outcome(content: bytes) -> str:
    """Return what becomes of a file.

    Raises:
        Exception: If it is neither decoded as Pillow would nor refused in one line.
    """
    try:
        picture = read_picture(np.frombuffer(content, np.uint8), "x")
    except UserError as error:
        assert str(error).startswith("image 'x' cannot be read (") and "\n" not in str(error), str(error)
        return "refused"
    assert cut_middle(picture, 36, 32).shape == cut_window(picture, np.full(DRAWS, 0.5), 32).shape == (3, 32, 32)
    if picture.size[0] * picture.size[1] > _LARGE:
        return "decoded, large"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.mode not in _ALREADY_RIGHT:
                return f"decoded {image.mode}"
            expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(picture.cut(0, 0, *picture.size).permute(1, 2, 0).numpy(), expected), f"not as Pillow: {image.mode}"
    return "decoded"


def main(seed: int, count: int, seconds: int) -> None:
    """Try so many files, or as many as so long of a core allows.

    Prints as JSON what became of them, what is wrong, and the memory beyond that of whole files.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    for content in originals():
        outcome(content)
    before = peak_memory()
    counts: Counter[str] = Counter()
    wrong = []
    end = time.process_time() + seconds
    for number, content in cases(seed, count):
        if time.process_time() > end:
            break
        try:
            counts[outcome(content)] += 1
        except Exception as error:
            wrong.append(f"case {number} of seed {seed}: {type(error).__name__}: {error}")
    print(json.dumps({"counts": counts, "wrong": wrong, "mebibytes": (peak_memory() - before) / 2**20}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
