"""The first stages that a board holds: they are what its records were made with."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.cli.main import main
from ltbench.planning.request import How
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.results.evaluate import speak
from ltbench.results.predictions import Predictions
from ltbench.results.schema import Record
from ltbench.trained.recall import recall

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "cifar100-lt"
KEYS = sorted(path.name for path in (BOARD / "stages").iterdir())
SAID = 1_000  # test images of ten thousand


@cache
def rows() -> dict[str, Record]:
    """Return the board's records by their files' names."""
    return {path.name: records.read(path) for path in sorted((BOARD / "results").glob("*.json"))}


def on(key: str) -> dict[str, Record]:
    """Return those on a first stage."""
    return {name: record for name, record in rows().items() if record.stages[0].key == key}


@pytest.mark.parametrize("key", KEYS)
def test_it_is_what_records_of_the_board_stand_on(key: str) -> None:
    losses = [row["loss"] for row in json.loads((BOARD / "stages" / key / "meta.json").read_text())["curve"]]
    assert on(key)
    for record in on(key).values():
        assert [row.loss for row in record.curve if row.stage == 1] == losses


def row_of(key: str) -> str:
    """Return the file's name of the first row that a first stage is by itself."""
    return min(name for name, record in on(key).items() if len(record.stages) == 1)


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_it_says_of_test_images_what_its_record_holds(key: str, tmp_path: Path, cifar100_root: Path) -> None:
    shutil.copytree(BOARD / "stages" / key, tmp_path / "stages" / key[:2] / key)
    trained = recall(BOARD / "results" / row_of(key), load_registry(), How(data_root=cifar100_root, cache=tmp_path, cpu=True))
    assert trained.record.predictions is not None
    held = Predictions.load(BOARD / "results" / trained.record.predictions.file)
    said = torch.cat([log_probs.argmax(dim=1).cpu() for _, _, log_probs in speak(
        trained.engine, trained.data, trained.data.parts.test, torch.arange(SAID), trained.accelerator, flip=trained.flip)])
    assert (held.ids[:SAID] == np.arange(SAID)).all()
    assert (said.numpy() != held.argmax[:SAID]).sum() <= SAID // 100  # two classes may all but tie: processors round otherwise


@pytest.mark.slow
def test_a_row_comes_out_of_one_again(tmp_path: Path, cifar100_root: Path, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["baselines", "pull", "cifar100-lt@100", "--from", str(BOARD), "--stages", "--cache", "weights", "--out", "board",
                 "--data-root", str(cifar100_root)]) == 0
    key = KEYS[0]
    name = row_of(key)
    capsys.readouterr()
    assert main(["reproduce", f"board/{name}", "--cache", "weights", "--out", key, "--data-root", str(cifar100_root)]) == 0
    assert "\nreproduced: " in capsys.readouterr().out
    (again,) = map(records.read, Path(key).glob("*.json"))
    assert again.timing.reused["stage 1"] is True
