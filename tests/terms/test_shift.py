from __future__ import annotations

import pytest

from ltbench.terms.shift import Shift, parse_shift, shifts_of


def test_names() -> None:
    assert parse_shift("forward50") == Shift("forward", 50) and str(Shift("backward", 2)) == "backward2"


@pytest.mark.parametrize("name", ["forward", "forward0", "forward05", "backward2.5", "sideways2", "forward2 ", "forward-2",
                                  "forward٢", "forward" + "9" * 400])
def test_what_is_no_shift(name: str) -> None:
    with pytest.raises(ValueError, match="a label shift must be forward or backward with a whole ratio"):
        parse_shift(name)


def test_order_is_that_of_the_tables() -> None:
    assert [str(shift) for shift in shifts_of((10, 2))] == ["forward10", "forward2", "backward2", "backward10"]
