"""Every registered method passes the kit that third parties run."""

from __future__ import annotations

import pytest

from ltbench.registry import load_registry
from ltbench.testing import CHECKS, check_two_processes
from ltbench.testing.kit import run_check

METHODS = list(load_registry(strict=False).methods)


def test_there_are_methods_to_check() -> None:
    assert len(METHODS) >= 19


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("method", METHODS)
def test_method_conforms(method: str, check: str) -> None:
    result = run_check(check, method)
    assert result.ok, str(result)


def test_methods_conform_under_two_processes() -> None:
    results = check_two_processes(METHODS)
    assert sorted(results) == sorted(METHODS)
    wrong = [str(result) for result in results.values() if not result.ok]
    assert not wrong, "\n".join(wrong)
