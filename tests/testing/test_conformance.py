"""Every registered method passes the kit that third parties run."""

from __future__ import annotations

import pytest

from ltbench.registry.discovery import load_registry
from ltbench.testing import CHECKS, check_dataset, check_metric, check_two_processes
from ltbench.testing.kit import run_check
from tests.support.methods import NEED_A_FILE

COSTLY = {"bf16", "composes", "partners"}
REGISTRY = load_registry(strict=False)
METHODS = [name for name in REGISTRY.methods if name not in NEED_A_FILE]
DATASETS, METRICS = list(REGISTRY.datasets), list(REGISTRY.metrics)


def test_there_are_methods_to_check() -> None:
    assert len(METHODS) >= 19


@pytest.mark.parametrize("check", [pytest.param(check, marks=pytest.mark.slow) if check in COSTLY else check for check in CHECKS])
@pytest.mark.parametrize("method", METHODS)
def test_method_conforms(method: str, check: str) -> None:
    result = run_check(check, method)
    assert result.ok, str(result)


@pytest.mark.slow
def test_methods_conform_under_two_processes() -> None:
    results = check_two_processes(METHODS)
    assert sorted(results) == sorted(METHODS)
    wrong = [str(result) for result in results.values() if not result.ok]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dataset", DATASETS)
def test_dataset_conforms(dataset: str) -> None:
    """As far as its data is here; that of LTBENCH_DATA takes seconds to read and has tests of its own."""
    checks = None if dataset == "digits-lt" else ("spec", "protocols", "missing")
    results = check_dataset(dataset) if checks is None else check_dataset(dataset, only=checks)
    assert [str(result) for result in results if not result.ok] == []


@pytest.mark.parametrize("metric", METRICS)
def test_metric_conforms(metric: str) -> None:
    results = check_metric(metric)
    assert {result.state for result in results} == {"ok"}, results
