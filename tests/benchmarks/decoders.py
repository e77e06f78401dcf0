"""Ways to get the window of an image file, side by side: ours, the usual chain, and other libraries.

``python -m tests.benchmarks.decoders FOLDER`` prints the table of docs/input-pipeline.md: two workers, all ways in turn, several
rounds, the best round of each. Seconds are those that cores worked for it, in workers and at home: on a busy machine they vary
less than the clock's. Linux alone, for they are read from /proc.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from tabulate import tabulate
from torch.utils.data import DataLoader, Dataset

from ltbench.data import decoding
from ltbench.data.files import FileImages
from ltbench.data.listed import IMAGENET_MEAN, IMAGENET_STD
from ltbench.data.loader import Loader
from ltbench.data.paths import Paths
from ltbench.data.randomness import uniform
from ltbench.data.windows import DRAWS, random_window
from tests.support.views import view_of

Pixels = npt.NDArray[np.uint8]
Way = Callable[[str, npt.NDArray[np.float64]], Pixels]  # a path and the random numbers of its window, to (size, size, 3)
SIZE, BATCH, WORKERS, PASSES = 224, 25, 2, 2


def pillow(path: str, drawn: npt.NDArray[np.float64], size: int = SIZE) -> Pixels:
    """Everything by Pillow: what the others are compared with."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    left, top, width, height = random_window(drawn, *image.size)
    return np.asarray(image.crop((left, top, left + width, top + height)).resize((size, size), Image.Resampling.BILINEAR))


def ours_with_pillow(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    """Decode as ltbench does where simplejpeg is not installed."""
    with mock.patch.object(decoding, "fast_decoder", lambda: None):
        return ours(path, drawn)


def ours(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    """Decode as ltbench does where simplejpeg is installed."""
    return decoding.cut_window(decoding.read_picture(np.fromfile(path, np.uint8), path), drawn, SIZE).permute(1, 2, 0).numpy()


def simplejpeg_pillow(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    import simplejpeg

    pixels = simplejpeg.decode_jpeg(np.fromfile(path, np.uint8))
    left, top, width, height = random_window(drawn, pixels.shape[1], pixels.shape[0])
    window = Image.fromarray(pixels[top:top + height, left:left + width])
    return np.asarray(window.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def torchvision_io(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    pixels = decode_jpeg(read_file(path), ImageReadMode.RGB).permute(1, 2, 0).numpy()
    return decoding.cut_window(decoding.Picture(pixels), drawn, SIZE).permute(1, 2, 0).numpy()


def opencv(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    import cv2

    cut = _opencv_window(path, drawn)
    resized: Pixels = cv2.resize(cut, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return resized


def opencv_torch(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    cut = torch.from_numpy(np.ascontiguousarray(_opencv_window(path, drawn))).permute(2, 0, 1)[None]
    return F.interpolate(cut, (SIZE, SIZE), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


def _opencv_window(path: str, drawn: npt.NDArray[np.float64]) -> Pixels:
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    left, top, width, height = random_window(drawn, pixels.shape[1], pixels.shape[0])
    cut: Pixels = pixels[top:top + height, left:left + width]
    return cut


def scaled_decoding(path: str, drawn: npt.NDArray[np.float64], size: int = SIZE) -> Pixels:
    """Let the decoder halve or quarter where the window is at least twice or four times what is wanted."""
    with Image.open(path) as image:
        whole = image.size
        left, top, width, height = random_window(drawn, *whole)
        factor = next((factor for factor in (4, 2) if min(width, height) >= factor * size), 1)
        if factor > 1:
            image.draft("RGB", (whole[0] // factor, whole[1] // factor))
        pixels = np.array(image.convert("RGB"))
    rows, columns = (slice(round(start / factor), round((start + length) / factor)) for start, length in
                     ((top, height), (left, width)))
    cut = torch.from_numpy(np.ascontiguousarray(pixels[rows, columns])).permute(2, 0, 1)[None]
    return F.interpolate(cut, (size, size), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


# What a way is called, its function, and the module that it needs beside what ltbench does.
WAYS: dict[str, tuple[Way, str | None]] = {
    "Pillow throughout": (pillow, None),
    "Pillow decode, torch resize (ltbench)": (ours_with_pillow, None),
    "simplejpeg decode, torch resize (ltbench with `jpeg`)": (ours, "simplejpeg"),
    "simplejpeg decode, Pillow resize": (simplejpeg_pillow, "simplejpeg"),
    "torchvision.io decode, torch resize": (torchvision_io, None),
    "OpenCV decode, torch resize": (opencv_torch, "cv2"),
    "OpenCV decode, OpenCV linear resize": (opencv, "cv2"),
    "Pillow scaled decoding, torch resize": (scaled_decoding, None),
}


def installed(name: str) -> bool:
    """Say whether a way can be measured here."""
    needed = WAYS[name][1]
    return needed is None or find_spec(needed) is not None


class Windows(Dataset[Pixels]):
    """One window of each file, made one way.

    Args:
        drawn: The windows' random numbers, shape (N, 22).
    """

    def __init__(self, files: list[str], way: Way, drawn: npt.NDArray[np.float64]) -> None:
        self.files, self.way, self.drawn = files, way, drawn

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pixels:
        return self.way(self.files[index], self.drawn[index])


class Chain(Dataset[Any]):
    """The chain that public long-tailed codes write: everything in the worker, image by image."""

    def __init__(self, files: list[str]) -> None:
        from torchvision import transforms

        self.files = files
        self.chain = transforms.Compose([
            transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), transforms.ColorJitter(0.4, 0.4, 0.4, 0.0),
            transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        with open(self.files[index], "rb") as file:
            return self.chain(Image.open(file).convert("RGB"))


def whole_files(folder: Path) -> list[str]:
    """Return the paths of the JPEGs in a folder, sorted."""
    return sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in (".jpeg", ".jpg"))


def draws(count: int) -> npt.NDArray[np.float64]:
    """Return the same random numbers of windows for every way."""
    return uniform(1, 0, np.arange(count), DRAWS)


def worker_loader(data: Dataset[Any], workers: int = WORKERS) -> DataLoader[Any]:
    """Return batches of what a way makes."""
    return DataLoader(data, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0)


def our_loader(files: list[str]) -> Loader:
    """Return ltbench's own loader: windows in ``LTBENCH_WORKERS`` processes; flip, jitter and normalization on the device."""
    images = FileImages(Paths(Path(files[0]).parent, [Path(file).name.encode() for file in files]),
                        torch.zeros(len(files), dtype=torch.int64), SIZE, 256)
    view = view_of(("random_resized_crop", "flip", "jitter"), 4, IMAGENET_MEAN, IMAGENET_STD, decoded=True)
    return Loader(images, torch.arange(len(files)), [view], batch_size=BATCH, seed=0)


def _core_seconds() -> float:
    """Return what this process and its workers have computed so far, in seconds of one core."""
    ticks = 0
    for worker in multiprocessing.active_children():
        fields = Path(f"/proc/{worker.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # in user mode and in the system
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _table(folder: Path, rounds: int = 8) -> Iterator[list[str]]:
    files = whole_files(folder)
    once, drawn = len(files), draws(len(files))
    loaders: dict[str, Callable[[], int]] = {}
    for name, data in [("torchvision's PIL chain, with flip, jitter and normalization (the usual peer)", Chain(files * PASSES)),
                       *((name, Windows(files * PASSES, way, np.tile(drawn, (PASSES, 1)))) for name, (way, _) in WAYS.items()
                         if installed(name))]:
        loader = worker_loader(data)
        loaders[name] = lambda loader=loader: sum(len(batch) for batch in loader)  # type: ignore[misc]
    ours_whole, order = our_loader(files), np.tile(np.arange(once), PASSES)
    loaders["ltbench's whole loader: the same, on a device that is these two cores"] = lambda: sum(
        len(batch.labels) for (batch,) in ours_whole.epoch(order, 0))
    best = dict.fromkeys(loaders, float("inf"))
    for number in range(rounds + 1):  # the first starts the workers
        for name, epoch in loaders.items():
            start = _core_seconds()
            epoch()
            if number:
                best[name] = min(best[name], _core_seconds() - start)
    expected = _made(pillow, files, drawn)
    peer = next(iter(best.values()))
    for name, seconds in best.items():
        speed = [name, f"{once * PASSES / seconds:.0f}", f"{peer / seconds:.2f}"]
        if name in WAYS:
            error = np.abs(_made(WAYS[name][0], files, drawn) - expected)
            yield [*speed, str(error.max()), f"{error.mean():.3f}"]
        else:
            yield [*speed, "", ""]


def _made(way: Way, files: list[str], drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.stack([way(*pair) for pair in zip(files, drawn, strict=True)]).astype(np.int64)


def _scaled_table(folder: Path, rounds: int = 8) -> Iterator[list[str]]:
    """Compare scaled decoding where it applies: smaller results, for real files are rarely twice 224 pixels."""
    files = whole_files(folder)
    torch.set_num_threads(1)
    for size, factor in ((112, 2), (56, 4)):
        pairs = []
        for file, drawn in zip(files, draws(len(files)), strict=True):
            with Image.open(file) as image:
                *_, width, height = random_window(drawn, *image.size)
            if min(width, height) >= factor * size:
                pairs.append((file, drawn))

        def plain(file: str, drawn: npt.NDArray[np.float64], size: int = size) -> Pixels:
            with mock.patch.object(decoding, "fast_decoder", lambda: None):
                picture = decoding.read_picture(np.fromfile(file, np.uint8), file)
            return decoding.cut_window(picture, drawn, size).permute(1, 2, 0).numpy()

        def scaled(file: str, drawn: npt.NDArray[np.float64], size: int = size) -> Pixels:
            return scaled_decoding(file, drawn, size)

        best, made = dict.fromkeys((plain, scaled), float("inf")), {}
        for _ in range(rounds):
            for way in best:
                start = time.process_time()
                made[way] = np.stack([way(*pair) for pair in pairs])
                best[way] = min(best[way], time.process_time() - start)
        error = np.abs(made[scaled].astype(int) - np.stack([pillow(*pair, size) for pair in pairs]))
        yield [f"1/{factor}, result {size}", str(len(pairs)), f"{best[plain] / best[scaled]:.2f}", str(error.max()),
               f"{error.mean():.2f}"]


if __name__ == "__main__":
    where = Path(sys.argv[1])
    print(tabulate(_table(where), ["way", "images a second a core", "against the peer", "largest deviation", "mean"], "github",
                   disable_numparse=True), "\n")
    print(tabulate(_scaled_table(where), ["scaled decoding to", "images", "speed against whole", "largest deviation", "mean"],
                   "github", disable_numparse=True))
