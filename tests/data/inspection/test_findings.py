from __future__ import annotations

from ltbench.data.inspection.findings import Finding, shortened


def test_twenty_of_a_kind_are_shown() -> None:
    findings = [Finding("a", f"a{number}") for number in range(23)] + [Finding("b", "b")]
    more = "... 3 more of 23 (a); --json names them all"
    assert list(shortened(findings)) == [*(f"a{number}" for number in range(20)), more, "b"]
