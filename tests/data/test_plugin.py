from __future__ import annotations

import subprocess
import sys

import pytest

from ltbench.data.base import Dataset
from ltbench.data.plugin import ltbench_datasets
from ltbench.registry.specs import DatasetSpec, load_target

FAMILIES = [spec for spec in ltbench_datasets() if spec.is_family]


@pytest.mark.parametrize("spec", [spec for spec in ltbench_datasets() if not spec.is_family], ids=lambda spec: spec.name)
def test_spec_agrees_with_its_class(spec: DatasetSpec) -> None:
    dataset = load_target(spec.target)()
    assert isinstance(dataset, Dataset)
    assert dataset.name == spec.name
    assert dataset.num_classes == spec.num_classes == len(set(dataset.class_names))
    assert (dataset.max_per_class is None) == (spec.default_ratio is None)
    assert len(dataset.mean) == len(dataset.std) == dataset.channels
    assert {"smoke", "quick", "common"} <= set(dataset.protocols) == set(spec.protocols)


def test_families_have_no_classes_before_a_member_is_named() -> None:
    assert [(spec.name, spec.num_classes, spec.default_ratio) for spec in FAMILIES] == [
        (name, None, None) for name in ("folder:", "list:", "tar:", "csv:", "parquet:", "hf:", "tv:")]
    assert all(callable(load_target(spec.target)) for spec in FAMILIES)


def test_naming_datasets_imports_nothing_heavy() -> None:
    code = ("import sys; from ltbench.data.plugin import ltbench_datasets; assert len(ltbench_datasets()) == 20; "
            "assert not {'torch', 'numpy', 'sklearn', 'torchvision', 'datasets', 'pyarrow'} & set(sys.modules), "
            "sorted(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
