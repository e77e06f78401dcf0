from __future__ import annotations

from pathlib import Path

import pytest

from ltbench import records
from ltbench.cli.main import main


@pytest.mark.parametrize("arguments", [["--optimizer", "adamw", "--lr", "0.01"], ["--schedule", "step"], ["--schedule", "cosine"],
                                       ["--schedule", "constant"], ["--precision", "bf16"], ["--accumulate", "2"],
                                       ["--imbalance", "step"]])
def test_every_setting_trains(arguments: list[str], tmp_path: Path) -> None:
    assert main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "la/crt", "--out", str(tmp_path),
                 "--cache", str(tmp_path / "cache"), *arguments]) == 0
    ((_, record),), problems = records.read_directory(tmp_path)
    assert problems == [] and record["status"] == "completed", record["reason"]
    assert record["curve"][1]["loss"] < record["curve"][0]["loss"]
