"""The conformance kit: what every method must do, built-in or a stranger's.

A whole test file is::

    from ltbench.testing import MethodConformance

    class TestMyMethod(MethodConformance):
        method = "my_method"

Checks train for two steps on real images, the digits that come with scikit-learn. :func:`check_method` does the same without
pytest.
"""

from __future__ import annotations

from ltbench.testing.kit import CHECKS, check_method
from ltbench.testing.processes import check_two_processes
from ltbench.testing.results import Result
from ltbench.testing.suite import MethodConformance

__all__ = ["CHECKS", "MethodConformance", "Result", "check_method", "check_two_processes"]
