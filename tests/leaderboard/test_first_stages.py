"""The first stages that a board holds: they are what its records were made with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.results import records
from ltbench.results.schema import Record

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "cifar100-lt"
KEYS = sorted(path.name for path in (BOARD / "stages").iterdir())


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


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory, cifar100_root: Path) -> Path:
    """Return the folder where the board's records lie in ``board`` and its first stages in ``weights``."""
    folder = tmp_path_factory.mktemp("pulled")
    assert main(["baselines", "pull", "cifar100-lt@100", "--from", str(BOARD), "--stages", "--cache", str(folder / "weights"),
                 "--out", str(folder / "board"), "--data-root", str(cifar100_root)]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_a_row_comes_out_of_it_again(
        key: str, pulled: Path, cifar100_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(pulled)
    name = min(name for name, record in on(key).items() if len(record.stages) == 1)
    capsys.readouterr()
    assert main(["reproduce", f"board/{name}", "--cache", "weights", "--out", key, "--data-root", str(cifar100_root)]) == 0
    assert "\nreproduced: " in capsys.readouterr().out
    (again,) = map(records.read, Path(key).glob("*.json"))
    assert again.timing.reused["stage 1"] is True
