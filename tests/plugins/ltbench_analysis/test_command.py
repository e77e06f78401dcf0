from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ltbench.cli.main import main
from ltbench_analysis.drawing import as_json
from tests.support import record_factory
from tests.support.made_runs import layer, stage_of, write

BOARD = Path(__file__).parents[3] / "leaderboards" / "cifar100-lt" / "results"


def analyze(*arguments: str | Path) -> int:
    return main(["analyze", *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert analyze(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.slow
def test_the_same_bytes_for_the_same_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = write(tmp_path, "run", layer(means=torch.eye(4), weight=torch.eye(4), bias=torch.zeros(4)))
    for out in ("a", "b"):
        assert analyze(record, "--figure", "nc.2,nc.3,neural-collapse", "--out", tmp_path / out) == 0
    names = [f"{figure}.{kind}" for figure in ("nc.2", "nc.3", "neural-collapse") for kind in ("json", "png", "svg")]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(names)
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / out / name) for out in ("a", "b") for name in names]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert (tmp_path / "a" / "nc.2.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in (tmp_path / "a" / "nc.2.svg").read_bytes() and b"dc:date" not in (tmp_path / "a" / "nc.2.svg").read_bytes()


def test_two_seeds_are_drawn_without_an_interval(tmp_path: Path) -> None:
    """On records of a board, whose curves and norms by class are lines."""
    kept = BOARD.glob("cifar100-lt@100-common-ce-prototype_s[01]_*.json")
    assert analyze(*kept, "--figure", "prototype.2,nc.3", "--out", tmp_path) == 0
    series = json.loads((tmp_path / "nc.3.json").read_text())["panels"][0]["series"]
    assert [line["spread"] for line in series] == [None] and len(series[0]["y"]) == 100


@pytest.mark.parametrize("figure", ["prototype.2", "nc.2", "nc.3", "learned-ncm.3", "neural-collapse", "hyperspherical.3a"])
def test_a_folder_holds_other_runs_too(figure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs that keep nothing, or have no such classifier, are left out; where none is left, one of them is named."""
    stages = [stage_of("ce"), stage_of("local_projection")]
    heads = {"learned-ncm.3": {"weights": torch.zeros(4, 4)}, "hyperspherical.3a": {"weight": torch.eye(4)}}
    has = layer(1, weight=torch.eye(4)) | layer(2, **heads.get(figure, {"prototypes": 2 * torch.eye(4)}))
    write(tmp_path, "a", {}, expression="ce/local_projection", stages=stages)
    assert "lacks; run ltbench run" in refused(capsys, tmp_path, "--figure", figure, "--out", tmp_path / "out")
    write(tmp_path, "b", has, expression="ce/local_projection", stages=stages)
    assert analyze(tmp_path, "--figure", figure, "--out", tmp_path / "out") == 0
    assert capsys.readouterr().err == f"figure {figure}: made from 1 of 2 records\n"
    data = json.loads((tmp_path / "out" / f"{figure}.json").read_text())
    assert [run["record"] for run in data["runs"]] == ["b.json"]


def test_the_data_says_what_it_is(tmp_path: Path) -> None:
    record = write(tmp_path, "run", layer())
    assert analyze(tmp_path, "--figure", "nc.3", "--out", tmp_path / "out") == 0  # a folder stands for its records
    text = (tmp_path / "out" / "nc.3.json").read_text()
    data = json.loads(text)
    assert data["figure"] == "nc.3" and data["repeatable"] is True
    assert data["source"] == "Liu et al. (2023), Inducing Neural Collapse in Deep Long-tailed Learning, figure 3"
    assert data["caption"] == (f"{data['source']}: norms of centered class means by class. Here: digits-lt@20; resnet20; "
                               "16 epochs; seed 0.")
    assert [run["record"] for run in data["runs"]] == [record.name]
    assert data["panels"][0]["series"][0]["y"] == pytest.approx([0.75**0.5] * 4)
    assert str(tmp_path) not in text  # a figure speaks of no machine


def test_what_lies_beside_a_record_may_be_named_too(tmp_path: Path) -> None:
    write(tmp_path, "run", layer())
    everything = sorted(tmp_path.iterdir())
    assert {path.suffix for path in everything} >= {".json", ".safetensors"}
    assert analyze(*everything, "--figure", "nc.3", "--out", tmp_path / "out") == 0


def test_only_runs_that_a_figure_is_made_from_stand_below_it(tmp_path: Path) -> None:
    for name, seed, tensors in (("a", 0, layer(1, weight=torch.eye(4)) | layer(2, prototypes=torch.eye(4))),
                                ("b", 7, layer(1, weight=torch.eye(4)))):
        write(tmp_path, name, tensors, task__seed=seed, expression=name)
    assert analyze(tmp_path, "--figure", "prototype.2", "--out", tmp_path / "out") == 0
    data = json.loads((tmp_path / "out" / "prototype.2.json").read_text())
    assert [run["record"] for run in data["runs"]] == ["a.json"] and data["caption"].endswith("seed 0.")


def test_what_a_user_gets_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = write(tmp_path, "run", layer())
    out = tmp_path / "out"
    assert "--figure must name a figure" in refused(capsys, record)
    assert "unknown figure 'prototyp.2'; did you mean 'prototype.2'?" in refused(capsys, record, "--figure", "prototyp.2")
    assert "needs records (statistics), got none; run ltbench run" in refused(capsys, "--figure", "nc.2", "--out", out)
    assert "no/such.json cannot be read" in refused(capsys, "no/such.json", "--figure", "nc.2")
    (tmp_path / "empty").mkdir()
    assert "a folder of records" in refused(capsys, tmp_path / "empty", "--figure", "nc.2")
    line = refused(capsys, record, "--figure", "learned-ncm.1", "--out", out)
    assert f"needs features of every image (run with --keep features), which {record} lacks; run ltbench run" in line
    line = refused(capsys, record, "--figure", "hyperspherical.4b", "--out", out)
    assert "needs a run of hyperspherical, which no record has" in line and "see ltbench analyze --list" in line
    assert not out.exists()
    (tmp_path / "file").write_text("")
    assert "--out must be a writable folder" in refused(capsys, record, "--figure", "nc.2", "--out", tmp_path / "file")


def test_runs_without_what_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = write(tmp_path, "bare")
    assert f"needs class statistics (run without --keep nothing), which {bare} lacks" in refused(capsys, bare, "--figure", "nc.2")
    broken = record_factory.write(record_factory.broken("diverged"), None, tmp_path, "broken")
    assert refused(capsys, broken, "--figure", "nc.2") == f"ltbench: record {broken} must be of a completed run, got diverged"
    other = write(tmp_path, "other", layer())
    (tmp_path / "other.geometry.safetensors").write_bytes(b"junk")
    assert "is not the one that its record names" in refused(capsys, other, "--figure", "nc.2")


def test_damaged_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = {"train.features": torch.eye(4), "train.labels": torch.arange(4), "test.features": torch.ones(12, 4),
            "test.labels": torch.arange(4).repeat_interleave(3)}
    record = write(tmp_path, "run", layer() | kept)
    (tmp_path / "run.npz").write_bytes(b"junk")
    assert "run.npz cannot be read" in refused(capsys, record, "--figure", "neural-collapse")
    record = write(tmp_path, "run", layer() | kept | {"test.labels": torch.arange(12) % 4})
    assert "must be of the images whose features are kept" in refused(capsys, record, "--figure", "neural-collapse")


def test_numbers_of_the_data() -> None:
    assert as_json({"a": (0.1 + 0.2, float("nan"), float("inf"), 1, True, "x")}) == {"a": [0.3, None, None, 1, True, "x"]}


def test_what_is_only_listed_is_not_imported() -> None:
    heavy = ["torch", "numpy", "scipy", "sklearn", "matplotlib"]
    code = f"""
import sys
from ltbench.cli.main import main
status = main(["analyze", "--list"])
print([name for name in {heavy} if name in sys.modules], status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
