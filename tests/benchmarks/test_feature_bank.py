"""Random batches of a feature bank that is mapped from disk, against one that is all in memory.

``feature_bank.py`` beside this file does everything once at iNaturalist's size.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from ltbench.data.loader import FeatureLoader
from tests.benchmarks import feature_bank
from tests.support.banks import engine_of, made_up, reader_of

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

ROWS, WIDTH, BATCH = 20_000, 512, 256


@pytest.mark.benchmark(group="an epoch of batches, 20,000 features, D = 512")
@pytest.mark.parametrize("place", ["mapped", "in_memory"])
def test_batches(benchmark: BenchmarkFixture, place: str, tmp_path: Path) -> None:
    engine = engine_of(WIDTH)
    bank = reader_of(engine, made_up(ROWS), tmp_path).read("train", "plain")
    features = bank.embedding if place == "mapped" else bank.embedding.clone()
    loader = FeatureLoader(features, bank.labels, batch_size=BATCH)
    order = np.random.default_rng(0).permutation(ROWS)

    def epoch() -> float:
        return float(sum(batch.embedding.double().sum() for (batch,) in loader.epoch(order, 0) if batch.embedding is not None))

    expected = bank.embedding[torch.from_numpy(order[:ROWS // BATCH * BATCH])].double().sum()
    assert benchmark(epoch) == pytest.approx(float(expected), rel=1e-9)


def test_the_measurement_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feature_bank.main(tmp_path, 3000, 8, 20, 2)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "start", "bank", "class means", "2 steps", "batches of an epoch", "statistics"]
