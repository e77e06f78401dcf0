"""``ltbench baselines``: records from the package, a folder, the web and the hub; nothing unsound gets into a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.cli.main import main
from ltbench.results import records
from ltbench.trust import origin
from ltbench.trust.manifest import NAME
from tests.support.hub import serving

BOARD = Path(__file__).resolve().parents[2] / "leaderboards" / "digits-lt"
RUNS = ["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--dataset", "digits-lt"]


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board of six real records, with a manifest, in the folder where commands are typed."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "board"
    (folder / "results").mkdir(parents=True)
    for name in ("ce", "la"):
        for path in sorted((BOARD / "results").glob(f"digits-lt@20-quick-{name}_s*")):
            shutil.copy(path, folder / "results")
    assert main(["baselines", "manifest", "board"]) == 0
    return folder


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["baselines", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def change(board: Path, position: int, **changes: Any) -> None:
    """Change a record's entry in the manifest."""
    content = json.loads((board / NAME).read_text())
    content["records"][position] |= changes
    (board / NAME).write_text(json.dumps(content))


def test_what_came_with_ltbench_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(said(capsys, 0, "list", "--json")[0])
    found = {(row["name"], row["protocol"]): row for row in rows}
    assert found["digits-lt@20", "quick"]["records"] == len(list((BOARD / "results").glob("*.json")))
    assert found["cifar100-lt@100", "common"]["methods"] >= 22


def test_pulled_records_stand_beside_ones_own(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, 0, "pull", "digits-lt@20", "--from", "board")
    assert out.startswith("6 records are new in runs (") and "; 0 refused, " in out
    for path in (board / "results").iterdir():
        assert (Path("runs") / path.name).read_bytes() == path.read_bytes()
    assert len(os.listdir("runs")) == 12  # and nothing else
    assert main(["leaderboard", "runs"]) == 0 and main(["compare", "ce", "la", "--records", "runs"]) == 0
    assert main(["report", "runs"]) == 0 and main(["check", "runs"]) == 0
    out, _ = said(capsys, 0, "pull", "digits-lt", "--from", "board")
    assert out.startswith("0 records are new in runs (0.0 MB), 6 were there already; 0 refused")


def test_what_fails_the_check_is_left_behind(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third, *_ = sorted((board / "results").glob("*.json"))
    value = json.loads(first.read_text())
    value["metrics"]["accuracy"]["all"] += 1
    first.write_text(json.dumps(value))
    with np.load(second.with_suffix(".npz")) as arrays:
        np.savez(second.with_suffix(".npz"), **{**arrays, "argmax": arrays["argmax"][::-1]})
    assert main(["baselines", "manifest", "board"]) == 0  # whoever publishes it means it
    third.write_text(third.read_text() + " ")  # and this one was changed later
    out, err = said(capsys, 1, "pull", "digits-lt@20", "--from", "board")
    assert out.startswith("3 records are new in runs") and "; 3 refused" in out
    assert f"{first.name}: metrics.accuracy.all: does not follow from the predictions" in err
    assert f"results/{third.name} of board is not the one that {NAME} names (sha256 differs)" in err
    assert {path.name for path in Path("runs").glob("*.json")} == {path.name for path in (board / "results").glob("*.json")} - {
        first.name, second.name, third.name}
    assert len(os.listdir("runs")) == 6


def test_a_record_of_ones_own_is_never_replaced(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baselines", "pull", "digits-lt@20", "--from", "board"]) == 0
    path = min(Path("runs").glob("*.json"))
    record = records.read(path)
    record.curve[0].loss = 1.0
    path.write_text(json.dumps(record.as_dict()))
    before = path.read_bytes()
    out, err = said(capsys, 1, "pull", "digits-lt@20", "--from", "board")
    assert f"runs/{path.name} is there and says something else: curve[0].loss" in err and "5 were there already; 1 refused" in out
    assert path.read_bytes() == before


def test_a_strangers_manifest_leads_nowhere_else(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = json.loads((board / NAME).read_text())["records"][0]["files"]
    for path in ("../secret.json", "/etc/passwd", "results/.hidden.json", "a//b.json", "results/x\n.json"):
        change(board, 0, files=[{**files[0], "path": path}])
        assert "is no manifest of records: records.0.files.0.path" in said(capsys, 2, "pull", "digits-lt", "--from", "board")[1]
    victim = Path("runs/mine.npz")
    victim.parent.mkdir()
    victim.write_bytes(b"mine")
    shutil.copy(board / "results" / Path(files[1]["path"]).name, board / "results" / "mine.npz")
    change(board, 0, files=[files[0], {**files[1], "path": "results/mine.npz"}])
    assert "of its own name beside it" in said(capsys, 1, "pull", "digits-lt", "--from", "board")[1]
    assert victim.read_bytes() == b"mine"
    change(board, 0, files=files[:1])  # without its predictions
    _, err = said(capsys, 1, "pull", "digits-lt", "--from", "board", "--out", "other")
    assert f"{Path(files[0]['path']).name}: predictions: " in err and len(os.listdir("other")) == 10
    (board / NAME).write_text("{}")
    assert "is no manifest of records: records: Field required" in said(capsys, 2, "list", "--from", "board")[1]


def test_mistakes_are_one_line(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in ((["pull", "digits-lt@10", "--from", "board"], "unknown baselines 'digits-lt@10'; did you mean "),
                               (["pull", "digits-lt@x", "--from", "board"], "the imbalance ratio of 'digits-lt' must be "),
                               (["list", "--from", "nowhere"], "record folder must exist, got nowhere"),
                               (["list", "--from", "ftp://x"], "--from must be a folder, http(s)://ADDRESS or hf://OWNER/REPO"),
                               (["list", "--from", "board", "--sha256", "ab"], f"{NAME} of board must have the sha256 ab, got "),
                               (["list", "--from", "http://127.0.0.1:1"], f"{NAME} of http://127.0.0.1:1 cannot be fetched: "),
                               (["manifest", "board/results"], "FOLDER must be the board, whose records lie in its 'results'")):
        _, err = said(capsys, 2, *arguments)
        assert err.startswith(f"ltbench: {message}") and err.count("\n") == 1


def test_from_the_web_and_from_the_hub(board: Path) -> None:
    digest = hashlib.sha256((board / NAME).read_bytes()).hexdigest()
    with serving(board) as address:
        for source, out in ((address, "web"), (f"{address}/{NAME}", "named"), ("hf://somebody/boards", "hub")):
            arguments = ["pull", "digits-lt@20", "--from", source, "--out", out, "--sha256", digest]
            command = [sys.executable, "-m", "ltbench.cli.main", "baselines", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, env={
                **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(board.parent / "hub-cache"), "NO_PROXY": "127.0.0.1"})
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(f"6 records are new in {out} (")
        (board / "results" / min(os.listdir(board / "results"))).unlink()
        assert main(["baselines", "pull", "digits-lt@20", "--from", address, "--out", "less"]) == 1
        assert len(list(Path("less").glob("*.json"))) == 5


@pytest.mark.slow
def test_first_stages_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUNS, "--methods", "ce", "--out", "theirs", "--cache", "their-cache"]) == 0
    assert main(["baselines", "manifest", "theirs", "--stages", "--cache", "their-cache"]) == 0
    pull = ["pull", "digits-lt@20", "--from", "theirs", "--stages", "--cache", "cache"]
    assert said(capsys, 0, *pull)[0].endswith("1 first stages are new in the store\n")
    assert said(capsys, 0, *pull)[0].endswith("0 first stages are new in the store\n")
    monkeypatch.setattr(origin, "_installed", lambda: tmp_path)  # where "theirs" is a board
    for store, told in (("another-cache", 1), ("cache", 0)):
        assert main([*RUNS, "--methods", "ce/ncm", "--cache", store, "--dry-run"]) == 0
        assert capsys.readouterr().err.count("ltbench baselines pull digits-lt@20 --stages --cache another-cache puts them "
                                                   "into the store\n") == told
    assert main([*RUNS, "--methods", "ce/ncm", "--cache", "cache"]) == 0
    (made,) = (records.read(path) for path in Path("runs").glob("*ncm*.json"))
    assert made.timing.reused["stage 1"] is True
    (engine,) = Path("theirs/stages").glob("*/engine.safetensors")
    engine.write_bytes(engine.read_bytes()[:-1] + b"\xff")
    _, err = said(capsys, 2, *pull[:-1], "another-cache")
    assert "engine.safetensors of theirs is not the one that baselines.json names" in err
    assert not list(Path("another-cache").rglob("engine.safetensors"))
