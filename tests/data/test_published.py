from __future__ import annotations

import numpy as np
import pytest
import torch

from ltbench.data.cifar import Cifar10LT
from ltbench.data.digits import DigitsLT
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inat18 import INat18
from ltbench.data.places_lt import PlacesLT
from ltbench.data.plugin import ltbench_datasets
from ltbench.data.published import natural_counts
from ltbench.data.task_data import load_parts, load_task_data
from ltbench.errors import MissingData
from ltbench.registry.specs import DatasetSpec, load_target
from ltbench.terms.task import Task


@pytest.mark.parametrize(("dataset", "total", "largest", "smallest", "split", "tested"), [
    (ImageNetLT, 115_846, 1280, 5, (385, 479, 136), 50_000),
    (INat18, 437_513, 1000, 2, (842, 4076, 3224), 24_426),
    (PlacesLT, 62_500, 4980, 5, (131, 163, 71), 36_500),
])
def test_counts_agree_with_every_published_total(dataset: type[ImageNetLT], total: int, largest: int, smallest: int,
                                                 split: tuple[int, int, int], tested: int) -> None:
    assert dataset.published is not None
    counts = np.array(dataset.published.train)
    assert (counts.sum(), counts[0], counts[-1]) == (total, largest, smallest)
    assert ((counts > 100).sum(), ((counts >= 20) & (counts <= 100)).sum(), (counts < 20).sum()) == split
    assert (np.diff(counts) <= 0).all() and len(counts) == dataset().num_classes
    assert sum(dataset.published.test) == tested


def test_totals_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="total must fit between 1280 and 5 images a class, got 1000"):
        natural_counts(1000, 1280, 5, many=3, medium=40, few=10)


ELSEWHERE = [spec for spec in ltbench_datasets() if spec.source != "embedded" and not spec.is_family]


@pytest.mark.parametrize("spec", ELSEWHERE, ids=lambda spec: spec.name)
def test_a_run_can_be_planned_without_data(spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    dataset = load_target(spec.target)()
    nowhere = tmp_path_factory.mktemp("nowhere")
    with pytest.raises(MissingData, match=f"^{spec.name} is not there: no .* LTBENCH_DATA"):
        load_parts(dataset, nowhere, download=False)
    assert capsys.readouterr().err == ""
    parts = load_parts(dataset, nowhere, download=False, planning=True)
    assert capsys.readouterr().err == f"{spec.name}: data not found: class counts as published\n"
    assert torch.bincount(parts.train.labels).tolist() == list(dataset.published.train)
    assert torch.bincount(parts.test.labels).tolist() == list(dataset.published.test)
    data = load_task_data(dataset, parts, Task(spec.name, spec.default_ratio), None)
    assert len(data.class_counts) == spec.num_classes and data.class_counts.min() >= 1
    with pytest.raises(MissingData, match=f"the images of {spec.name} are not there"):
        parts.train.fetch(torch.tensor([0]))


def test_data_that_is_there_is_what_is_planned_with() -> None:
    assert torch.bincount(load_parts(DigitsLT(), None, download=False, planning=True).train.labels).min() == 124


def test_a_set_without_published_counts_stays_missing(tmp_path_factory: pytest.TempPathFactory,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cifar10LT, "published", None)
    with pytest.raises(MissingData):
        load_parts(Cifar10LT(), tmp_path_factory.mktemp("nowhere"), download=False, planning=True)
