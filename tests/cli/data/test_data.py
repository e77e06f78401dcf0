from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ltbench.cli import data
from ltbench.cli.main import main
from ltbench.data.parts import Parts
from ltbench.data.svhn import SvhnLT
from ltbench.errors import UserError
from tests.support.tiny import Tiny, registry_of_tiny, write_tiny


def run(*typed: str) -> int:
    """Run the verb where ``tiny`` is the only dataset."""
    parser = argparse.ArgumentParser()
    data.register(parser.add_subparsers())
    args = parser.parse_args(["data", *typed], argparse.Namespace(registry=registry_of_tiny()))
    status: int = args.run(args)
    return status


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda: capsys.readouterr().out


def test_list(tmp_path: Path, out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # no cell is folded
    assert run("list", "--data-root", str(tmp_path)) == 0
    assert "explained by: ltbench data get tiny" in out()
    folder = write_tiny(tmp_path)
    assert run("list", "--data-root", str(tmp_path)) == 0
    text = out()
    assert "train 8, val 3, test 6" in text and str(folder) in text
    assert run("list", "--data-root", str(tmp_path), "--json") == 0
    assert json.loads(out()) == [{"name": "tiny", "summary": "for this test", "state": "found", "where": str(folder),
                                  "images": {"train": 8, "val": 3, "test": 6}, "reason": None,
                                  "get": "explained by: ltbench data get tiny"}]


def test_check_says_how_it_ended(tmp_path: Path, out: Any) -> None:
    folder = write_tiny(tmp_path)
    assert run("check", "tiny", "--data-root", str(tmp_path)) == 0
    text = out().splitlines()
    assert text[0] == "tiny" and text[-1] == "sound, but its images were not decoded (--full decodes them)"
    assert f"train list: '{folder}/train.txt'" in text and "train files: 8 of 8 found, not decoded" in text
    assert any(line.startswith("seconds: lists ") and "peak memory: " in line for line in text)
    (folder / "train" / "0.jpg").unlink()
    assert run("check", "tiny", "--data-root", str(tmp_path)) == 1
    assert out().splitlines()[-2:] == [f"problem: train: image '{folder}/train/0.jpg' is not there", "1 problem"]
    (folder / "train.txt").unlink()
    assert run("check", "tiny", "--data-root", str(tmp_path)) == 2
    assert out().splitlines()[-1] == "incomplete"


def test_check_says_what_was_decoded(tmp_path: Path, out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    folder = write_tiny(tmp_path)
    assert run("check", "tiny", "--data-root", str(tmp_path), "--full") == 0
    text = out().splitlines()
    assert text[-1] == "sound" and "train files: 8 of 8 found, 8 decoded" in text
    for full in ([], ["--full"]):
        assert run("check", "tiny", "--data-root", str(tmp_path), "--json", *full) == 0
        assert {part["decoded"] for part in json.loads(out())["parts"].values()} == {bool(full)}
    Image.new("F", (9, 9)).save(folder / "test" / "0.jpg", "TIFF")
    assert run("check", "tiny", "--data-root", str(tmp_path), "--full") == 1
    text = out().splitlines()
    assert "test files: 6 of 6 found, 5 decoded" in text
    assert text[-2].startswith(f"problem: test: image '{folder}/test/0.jpg' cannot be read (mode F of a file of format TIFF does")
    for part in ("train", "val", "test"):
        shutil.rmtree(folder / part)
    assert run("check", "tiny", "--data-root", str(tmp_path), "--full") == 0
    assert out().splitlines()[-1] == "sound, but its images were not decoded"
    assert main(["data", "check", "digits-lt"]) == 0
    assert out().splitlines()[-1] == "sound"  # they come as pixels


def test_check_for_programs(tmp_path: Path, out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    folder = write_tiny(tmp_path)
    (folder / "test" / "5.jpg").write_text("no image")
    assert run("check", "tiny", "--data-root", str(tmp_path), "--full", "--json") == 1
    report = json.loads(out())
    assert report["exit_code"] == 1 and report["peak_memory_bytes"] > 10**7 and report["seconds"]["total"] > 0
    train = report["parts"]["train"]
    assert (train["images"], train["class_counts"], train["few"], train["files_found"]) == (8, [5, 2, 1], 3, 8)
    assert train["published"] == {"images": 8, "largest": 5, "smallest": 1, "many": 0, "medium": 0, "few": 3}
    assert "few" not in report["parts"]["test"]  # the groups are of training images
    (image,) = report["unreadable"]
    assert (image["part"], image["index"], image["path"]) == ("test", 5, f"{folder}/test/5.jpg")
    assert [problem["kind"] for problem in report["problems"]] == ["unreadable"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for typed in (["check", "tiny"], ["stats", "tiny"], ["list"]):
        with pytest.raises(UserError, match=r"^the folder of data sets \(--data-root, LTBENCH_DATA\) must exist, got '.*gone'$"):
            run(*typed, "--data-root", str(tmp_path / "gone"))


def test_get_explains(tmp_path: Path, out: Any) -> None:
    assert run("get", "tiny", "--data-root", str(tmp_path)) == 0
    assert out().splitlines() == ["tiny may not be downloaded without a person who accepts its terms.", f"DATA is '{tmp_path}'.",
                                  "1. Ask for it.", "2. Unpack it to DATA/tiny.",
                                  "3. Look whether everything is there and right: ltbench data check tiny"]


def test_a_plugin_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tiny, "steps", ())
    with pytest.raises(UserError, match="^tiny must be got by hand, and its plugin does not say how$"):
        run("get", "tiny")


@pytest.mark.parametrize("name", ["imagenet-lt", "imagenet1k", "imagenet200", "inat18", "places-lt"])
def test_every_large_set_is_explained(name: str, out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTBENCH_DATA", raising=False)
    assert main(["data", "get", name]) == 0
    lines = out().splitlines()
    assert "LTBENCH_DATA" in lines[1] and sum("DATA/" in line for line in lines) >= 1
    assert lines[-1].endswith(f"ltbench data check {name}")


def test_get_downloads_what_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path)
    asked: list[bool] = []

    def load(self: SvhnLT, root: Path, *, download: bool) -> Parts:
        asked.append(download)
        return Tiny().load(root)

    monkeypatch.setattr(SvhnLT, "load", load)
    assert main(["data", "get", "svhn-lt", "--data-root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"svhn-lt is in '{tmp_path}' (train 8, val 3, test 6 images)",
                                                    "next: ltbench data check svhn-lt"]
    assert main(["data", "get", "svhn-lt", "--data-root", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == {"train": 8, "val": 3, "test": 6}
    assert asked == [True, True]

    def fail(self: SvhnLT, root: Path, *, download: bool) -> Parts:
        raise OSError("no route to host")

    monkeypatch.setattr(SvhnLT, "load", fail)
    assert main(["data", "get", "svhn-lt", "--data-root", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "ltbench: svhn-lt cannot be downloaded: no route to host\n"


def test_nothing_to_get(out: Any) -> None:
    assert main(["data", "get", "digits-lt"]) == 0
    assert out() == "digits-lt comes with ltbench or its libraries: there is nothing to get\n"


def test_stats(tmp_path: Path, out: Any) -> None:
    assert main(["data", "stats", "digits-lt@20", "--plot", str(tmp_path / "new" / "digits.svg")]) == 0
    lines = out().splitlines()
    assert lines[0] == "digits-lt@20, split seed 0: 405 training images of 10 classes, 120 to 6; 500 test images"
    assert lines[1:3] == ["many / medium / few classes: 1 / 5 / 4 (many > 100, few < 20)", "ratio realized: 20"]
    assert lines[-1].split() == ["9", "9", "6", "50"]
    assert (tmp_path / "new" / "digits.svg").stat().st_size > 1000
    assert main(["data", "stats", "digits-lt@20", "--imbalance", "step", "--split-seed", "3", "--json"]) == 0
    report = json.loads(out())
    assert report["class_counts"] == [120] * 5 + [6] * 5 and report["split_seed"] == 3
    assert report["gini"] == pytest.approx(0.5 * 114 / 126)


def test_many_classes_are_shown_by_their_ends(data_root: Path, out: Any) -> None:
    if not (data_root / "lt-lists").is_dir():
        pytest.skip("LTBENCH_DATA holds no lt-lists")
    assert main(["data", "stats", "places-lt", "--data-root", str(data_root)]) == 0
    table = out().splitlines()[-21:]
    assert table[0].split()[-2:] == ["4,980", "100"] and "345 classes between: see --json" in table[10]


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for typed, said in ((["check", "digit-lt"], "unknown dataset 'digit-lt'; did you mean 'digits-lt'?"),
                        (["stats", "digits-lt", "--plot", "a.pdf"], "--plot must name a file"),
                        (["stats", "digits-lt", "--plot", str(tmp_path / "file" / "a.png")], "cannot be written"),
                        (["stats", "digits-lt@0.05"], "must be >= 1, got 0.05 (factor 0.05 is ratio 20)"),
                        ([], "the following arguments are required: ACTION")):
        assert main(["data", *typed]) == 2
        shown = capsys.readouterr().err
        assert shown.startswith("ltbench: ") and said in shown and shown.count("\n") == 1


def test_names_that_are_no_text_are_printed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places-LT with a class count of one, in a folder and with files whose names ASCII does not have."""
    root = tmp_path / "é"
    root.mkdir()
    for name in ("Places_LT_train.txt", "Places_LT_test.txt"):
        (root / name).write_bytes(b"".join(b"caf\xe9%d%s.jpg %d\n" % (k, name[10:12].encode(), k) for k in range(365)))
    (root / "plain.jpg").touch()
    with (root / "Places_LT_test.txt").open("a") as stream:
        stream.write("plain.jpg 0\n")
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["data", "check", "places-lt", "--data-root", str(root)]) == 1
    screen.flush()
    shown = screen.buffer.getvalue().decode("ascii")
    assert "\\xe9/caf\\udce90tr.jpg' is not there" in shown
    assert "... 345 more of 365" not in shown and "... 711 more of 731 (unreadable); --json names them all" in shown
