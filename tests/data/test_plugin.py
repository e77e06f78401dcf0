from __future__ import annotations

import subprocess
import sys

import pytest

from ltbench.data.base import Dataset
from ltbench.data.plugin import ltbench_datasets
from ltbench.specs import DatasetSpec, load_target


@pytest.mark.parametrize("spec", ltbench_datasets(), ids=lambda spec: spec.name)
def test_spec_agrees_with_its_class(spec: DatasetSpec) -> None:
    dataset = load_target(spec.target)()
    assert isinstance(dataset, Dataset)
    assert dataset.name == spec.name
    assert dataset.num_classes == spec.num_classes == len(set(dataset.class_names))
    assert (dataset.max_per_class is None) == (spec.default_ratio is None)
    assert len(dataset.mean) == len(dataset.std) == dataset.channels
    assert {"smoke", "quick", "common"} <= set(dataset.protocols)


def test_naming_datasets_imports_nothing_heavy() -> None:
    code = ("import sys; from ltbench.data.plugin import ltbench_datasets; assert len(ltbench_datasets()) == 13; "
            "assert not {'torch', 'numpy', 'sklearn', 'torchvision'} & set(sys.modules), sorted(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
