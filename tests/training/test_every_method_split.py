"""Every built-in method does the same on one process, on two with two accumulation steps each, and on three (where it does more
than weigh images): its stages, its curve, its record.

The network has no batch norm; 94 digits, five epochs of three steps. Two exceptions are told here. A loss on class means or
neighbors within a batch sees the images of one accumulation step, of all processes. And eigenvectors that belong to one
eigenvalue, as those of a class with few images do, are whatever rounding makes them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltbench.method.stack import overrides
from ltbench.registry.specs import MethodSpec
from ltbench.results import records
from ltbench.results.schema import Record
from ltbench.testing import scene
from ltbench.testing.one_process import close
from ltbench.testing.processes import last_words, launch
from ltbench.training.files import load_tensors
from ltbench.training.store import ENGINE
from tests.support import every_method_worker

BY_ROUNDING = {"local_projection": ("head.classifier.metric", "head.classifier.weights")}
FLIPPED = 1  # of 100 test images may be classified otherwise, where two logits all but tie

pytestmark = pytest.mark.slow


def first_of_each_method() -> list[str]:
    texts = every_method_worker.expressions()
    return list({text.rpartition("/")[2]: text for text in reversed(texts)}.values())


def spec(text: str) -> MethodSpec:
    return scene.installed().methods.get(text.rpartition("/")[2]).spec


def does_more_than_weigh(text: str) -> bool:
    method = scene.installed().methods.get(text.rpartition("/")[2]).load()
    return any(overrides(method, slot) for slot in ("mix", "step", "extra_losses", "after_step"))


def run(root: Path, world: int, accumulation: int, texts: Sequence[str]) -> Path:
    folder = root / f"{world}x{accumulation}"
    folder.mkdir()
    codes = launch([sys.executable, every_method_worker.__file__, str(folder), str(accumulation), *texts], world, folder,
                   seconds=400)
    assert codes == [0] * world, last_words(folder, world)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    every_method_worker.main(folder, 1, first_of_each_method())
    return folder


def test_two_processes_with_accumulation(alone: Path, tmp_path: Path) -> None:
    texts = [text for text in first_of_each_method() if not spec(text).per_part]  # see above
    assert len(texts) > 40
    compare(alone, run(tmp_path, 2, 2, texts), texts)


def test_three_processes(alone: Path, tmp_path: Path) -> None:
    texts = [text for text in first_of_each_method() if does_more_than_weigh(text)]
    assert {"mixup", "nc", "dro_lt", "center_loss", "iccl", "hyperspherical"} <= set(texts)
    compare(alone, run(tmp_path, 3, 1, texts), texts)


def compare(alone: Path, split: Path, texts: Sequence[str]) -> None:
    flipped = 0
    for plan in every_method_worker.plans(list(texts)):
        one, other = (records.read(folder / "out" / f"{plan.file_name}.json") for folder in (alone, split))
        assert one.status == other.status == "completed", (plan.file_name, one.reason, other.reason)
        for stage in one.stages:
            place = Path("cache", "stages", stage.key[:2], stage.key, ENGINE)
            first, second = (load_tensors(folder / place)[0] for folder in (alone, split))
            assert first.keys() == second.keys()
            by_rounding = BY_ROUNDING.get(plan.stages[-1].text, ())
            wrong = [name for name in first if not close(second[name], first[name]) and name not in by_rounding]
            assert not wrong, (plan.file_name, wrong)
        first, second = (np.load(folder / "out" / f"{plan.file_name}.npz") for folder in (alone, split))
        assert np.array_equal(first["ids"], second["ids"]) and np.array_equal(first["labels"], second["labels"])
        flips = int((first["argmax"] != second["argmax"]).sum())
        assert flips <= FLIPPED, plan.file_name
        flipped += flips
        differing = list(differences(reduced(one, flips), reduced(other, flips)))
        assert not differing, (plan.file_name, differing)
    assert flipped <= 2  # in all


def reduced(record: Record, flips: int) -> dict[str, Any]:
    """Return what must agree: all but the file of predictions, and figures that count a flipped image."""
    left_out = {"predictions", *records.CIRCUMSTANCES, *(("metrics", "per_class") if flips else ())}
    return {name: value for name, value in record.as_dict().items() if name not in left_out}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for name in one for found in differences(one[name], other[name], f"{path}.{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for i, pair in enumerate(zip(one, other, strict=True)) for found in differences(*pair, f"{path}[{i}]")]
    if isinstance(one, float) and isinstance(other, float):
        return [] if other == pytest.approx(one, rel=1e-3, abs=1e-3) else [f"{path}: {one} and {other}"]
    return [] if one == other else [f"{path}: {one} and {other}"]
