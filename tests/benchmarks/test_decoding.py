"""Decoding and cutting windows of real JPEGs at two workers: ltbench's way, the usual PIL chain, other libraries.

``make bench`` measures; in the ordinary tests each runs once, to show that it works. The table of docs/input-pipeline.md is what
``python -m tests.benchmarks.decoders`` prints, which takes all ways in turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.benchmarks import decoders

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

GROUP = pytest.mark.benchmark(group="an epoch of 125 photos, windows of 224 x 224, 2 workers")
# Gray levels from Pillow's result. The others are there to show why they are not taken.
CLOSE = {name for name in decoders.WAYS if "linear" not in name and "scaled" not in name}


@pytest.fixture(scope="module")
def files(data_root: Path) -> list[str]:
    if not (data_root / "imagenet-samples").is_dir():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    return decoders.whole_files(data_root / "imagenet-samples")


@GROUP
@pytest.mark.parametrize("name", decoders.WAYS)
def test_windows(benchmark: BenchmarkFixture, files: list[str], name: str) -> None:
    if not decoders.installed(name):
        pytest.skip(f"{decoders.WAYS[name][1]} is not installed")
    drawn = decoders.draws(len(files))
    loader = decoders.worker_loader(decoders.Windows(files, decoders.WAYS[name][0], drawn))
    pixels = benchmark.pedantic(lambda: np.concatenate([batch.numpy() for batch in loader]), rounds=3, warmup_rounds=1)
    expected = np.stack([decoders.pillow(*pair) for pair in zip(files, drawn, strict=True)]).astype(int)
    worst = np.abs(pixels - expected).max()
    assert (worst <= 1) == (name in CLOSE)


@GROUP
def test_pil_chain_as_public_codes_write_it(benchmark: BenchmarkFixture, files: list[str]) -> None:
    loader = decoders.worker_loader(decoders.Chain(files))
    assert benchmark.pedantic(lambda: sum(len(batch) for batch in loader), rounds=3, warmup_rounds=1) == len(files)


@GROUP
def test_our_loader(benchmark: BenchmarkFixture, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", str(decoders.WORKERS))
    loader, order = decoders.our_loader(files), np.arange(len(files))

    def epoch() -> int:
        return sum(len(batch.labels) for (batch,) in loader.epoch(order, 0))

    assert benchmark.pedantic(epoch, rounds=3, warmup_rounds=1) == len(files)
