"""Listings fit the terminal and can be narrowed down; what was typed wrongly is answered with what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ltbench
from ltbench.cli.listing import fitting
from ltbench.cli.main import main


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main(["methods", "--json", *arguments]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("natural", "available", "expected"), [
    ([10, 4, 60, 20], 94, [10, 4, 60, 20]),
    ([10, 4, 60, 20], 70, [10, 4, 36, 20]),
    ([10, 4, 60, 20], 44, [10, 4, 15, 15]),
    ([12, 4, 60, 20], 5, [10, 4, 10, 10]),
])
def test_the_widest_columns_give_way(natural: list[int], available: int, expected: list[int]) -> None:
    assert fitting(natural, available) == expected


@pytest.mark.parametrize("columns", [80, 100, 140])
@pytest.mark.parametrize("verb", ["methods", "datasets", "plugins", "augmentations", "backbones"])
def test_no_line_is_wider_than_the_terminal(verb: str, columns: int, monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([verb]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= columns


def test_a_heading_is_bold_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert main(["backbones"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["backbones"]) == 0
    assert capsys.readouterr().out.startswith("\x1b[1mname")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["backbones"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_backbones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backbones", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"resnet32", "digits", "timm:"} <= set(found) and found["resnet32"]["distribution"] == "ltbench"


def test_by_kind_stage_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    everything = listed(capsys)
    assert all(row["kind"] for row in everything if row["distribution"] == "ltbench")
    experts = listed(capsys, "--kind", "experts")
    assert {"ride", "bbn"} <= {row["name"] for row in experts} and all(row["kind"] == "experts" for row in experts)
    assert all(2 in row["stages"] for row in listed(capsys, "--stage", "2"))  # type: ignore[operator]
    assert [row["name"] for row in listed(capsys, "--search", "LEARNED_NCM")] == ["lncm"]  # by its alias
    assert listed(capsys, "--search", "no such words") == []
    assert main(["methods", "--search", "no such words"]) == 0
    assert capsys.readouterr().out == "no method fits\n"


@pytest.mark.parametrize(("arguments", "said"), [
    (["run", "--method", "la"], "unrecognized arguments: --method la; did you mean '--methods'? (see ltbench run --help)"),
    (["data", "check", "digits-lt", "--fool"], "did you mean '--full'? (see ltbench data check --help)"),
    (["run", "--backbone", "resnet10t"], "did you mean 'resnet10' or 'timm:resnet10t'?"),
    (["run", "--dataset", "photos/pets"], "did you mean 'folder:photos/pets'?"),
    (["run", "--dataset", "photos/pets.txt"], "did you mean 'list:photos/pets.txt'?"),
    (["run", "--dataset", "photos/pets.csv"], "did you mean 'csv:photos/pets.csv'?"),
    (["run", "--dataset", "photos/pets.parquet"], "did you mean 'parquet:photos/pets.parquet'?"),
    (["data", "check", "photos/pets.TAR"], "did you mean 'tar:photos/pets.TAR'?"),
])
def test_what_was_meant(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos/pets").mkdir(parents=True)
    for ending in ("txt", "csv", "parquet", "TAR"):
        Path(f"photos/pets.{ending}").touch()
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_listings_speak_json(capsys: pytest.CaptureFixture[str]) -> None:
    for verb, known in (("methods", "ce"), ("datasets", "digits-lt"), ("plugins", "baselines")):
        assert main([verb, "--json"]) == 0
        assert known in {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert main(["methods", "ce"]) == 0
    assert capsys.readouterr().out == ("ce: cross-entropy on instance-balanced samples\n"
                                       f"stages 1 and 2; from ltbench {ltbench.__version__}\nno hyperparameters\n")
    assert main(["methods", "ldam"]) == 0
    assert "hyperparameter" in capsys.readouterr().out


def test_the_program_alone_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: ltbench") and "run a record again and compare" in out and err == ""
