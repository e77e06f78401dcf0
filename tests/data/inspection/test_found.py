from __future__ import annotations

import shutil
from pathlib import Path

from ltbench.data.inspection.found import see
from ltbench.registry.catalog import Registered
from ltbench.registry.specs import DatasetSpec
from tests.support.tiny import registry_of_tiny, write_tiny


def test_the_states_of_a_set(tmp_path: Path) -> None:
    entry = registry_of_tiny().datasets.get("tiny")
    seen = see(entry, tmp_path)
    assert (seen.state, seen.where, seen.images) == ("absent", None, {}) and "no 'train.txt'" in seen.line
    folder = write_tiny(tmp_path)
    seen = see(entry, tmp_path)
    assert (seen.state, seen.line, seen.where) == ("found", "found", str(folder))
    assert seen.images == {"train": 8, "val": 3, "test": 6}
    (folder / "val.txt").write_text("nonsense\n")  # no run reads it
    assert see(entry, tmp_path).images == {"train": 8, "test": 6}
    shutil.rmtree(folder / "train")
    seen = see(entry, tmp_path)
    assert (seen.state, seen.images["train"]) == ("lists", 8)
    assert seen.line.startswith(f"its lists are found; image '{folder}/train/0.jpg' is not there")
    (folder / "train.txt").write_text("train/0.jpg 3\n")
    assert see(entry, tmp_path).state == "damaged"


def test_sets_in_memory_and_broken_ones(tmp_path: Path) -> None:
    digits = Registered(DatasetSpec("digits-lt", "ltbench.data.digits:DigitsLT", "", 10, source="embedded"), "test", "test", "0")
    assert (see(digits, None).where, see(digits, None).images) == (None, {"train": 1297, "test": 500})
    broken = Registered(DatasetSpec("broken", "builtins:int", "", 10), "test", "test", "0")
    assert see(broken, tmp_path).line.startswith("broken: AttributeError: ")
