from __future__ import annotations

import json

import pytest

from ltbench.cli import main as program


def test_every_augmentation_is_listed_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["augmentations", "--json"]) == 0
    rows = {row["name"]: row["options"] for row in json.loads(capsys.readouterr().out)}
    assert rows["randaugment"] == "n=2, m=9" and rows["flip"] == ""
    assert rows["simclr"] == "random_resized_crop(smallest=0.2) flip jitter(hue=0.1,p=0.8) grayscale(p=0.2)"
    assert {"crop", "cutout", "grayscale", "gaussian_blur", "solarize", "autoaugment", "torchvision:"} <= rows.keys()


def test_one_is_shown_with_ranges(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["augmentations", "jitter", "--json"]) == 0
    rows = {row["option"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["hue"] == {"option": "hue", "type": "a finite number", "default": "0.0", "range": "in [0, 0.5]"}
    for name, words in (("simclr", "jitter(hue=0.1,p=0.8)"), ("torchvision:Grayscale", "options: those of its member"),
                        ("flip", "no options")):
        assert program.main(["augmentations", name]) == 0
        assert words in capsys.readouterr().out


def test_an_unknown_one_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["augmentations", "jiter"]) == 2
    assert capsys.readouterr().err.startswith("ltbench: unknown augmentation 'jiter'; did you mean 'jitter'?")
