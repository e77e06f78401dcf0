"""Runs on digits whose stages are kept, and the test images as files, for tests of what trained models say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ltbench.cli.main import main
from ltbench.data.digits import DigitsLT
from ltbench.results.predictions import Predictions

# A first stage, fitted and trained later stages, stages that only change predictions (of one and of two stages below), experts.
EXPRESSIONS = ("ce", "ce/ncm", "ce/crt", "ce/post_la", "ce/tau_norm", "sade", "ce/crt/post_la")


@dataclass(frozen=True)
class TrainedRuns:
    """A folder of records, and the store with their stages."""

    runs: Path
    cache: Path

    def record(self, expression: str) -> Path:
        (found,) = [path for path in self.runs.glob("*.json") if json.loads(path.read_text())["expression"] == expression]
        return found


def make_runs(folder: Path, *options: str) -> TrainedRuns:
    """Run on the CPU with seed 0."""
    made = TrainedRuns(folder / "runs", folder / "cache")
    arguments = ["run", "--cpu", "--threads", "1", "--seeds", "0", "--out", str(made.runs), "--cache", str(made.cache)]
    assert main([*arguments, *options]) == 0
    return made


@pytest.fixture(scope="session")
def trained_runs(tmp_path_factory: pytest.TempPathFactory) -> TrainedRuns:
    folder = tmp_path_factory.mktemp("trained")
    return make_runs(folder, "--protocol", "quick", "--epochs", "2", "--methods", ",".join(EXPRESSIONS))


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all test images of the digits as PNGs, named by their positions."""
    folder = tmp_path_factory.mktemp("digits")
    for position, image in enumerate(DigitsLT().load(None).test.fetch(torch.arange(500))):
        Image.fromarray(image[0].numpy()).save(folder / f"{position:03d}.png")
    return folder


def assert_as_recorded(entries: list[dict[str, Any]], record: Path) -> None:
    """Demand of JSON predictions with all classes that they are those beside a record."""
    wanted = Predictions.load(record.with_suffix(".npz"))
    given = {int(Path(entry["image"]).stem): entry["classes"] for entry in entries}
    assert len(given) == len(wanted) == 500
    for position, label, argmax, confidence, log_prob in zip(wanted.ids, wanted.labels, wanted.argmax, wanted.confidence,
                                                             wanted.log_prob, strict=True):
        first, of_truth = given[position][0], next(said for said in given[position] if said["index"] == label)
        assert (first["index"], first["name"]) == (argmax, str(argmax))
        assert first["probability"] == pytest.approx(confidence, abs=1e-6)
        assert of_truth["probability"] == pytest.approx(np.exp(log_prob), abs=1e-6)
