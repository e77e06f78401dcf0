from __future__ import annotations

from typing import Any

import pytest

from ltbench.terms.protocol import Protocol
from ltbench.terms.shots import USUAL, Splits, splits_of


def test_classes_by_split() -> None:
    counts = [101, 100, 51, 50, 20, 19, 10, 9]
    assert USUAL.tally(counts) == {"all": 8, "many": 1, "medium": 4, "few": 3}
    assert Splits(50, 10).tally(counts) == {"all": 8, "many": 3, "medium": 4, "few": 1}
    assert Splits(20, 20).tally(counts) == {"all": 8, "many": 4, "medium": 1, "few": 3}  # medium: exactly 20


def test_two_numbers() -> None:
    assert splits_of("50,10") == splits_of([50, 10]) == splits_of((50, 10)) == (50, 10)
    assert str(splits_of("50, 10")) == "many > 50, few < 10"


@pytest.mark.parametrize("value", ["", "50", "10,50", "50,10,5", "50,0", "a,b", "5e1,10", [50.0, 10], [True, True], [50]])
def test_what_is_no_pair_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="splits must be two whole numbers, many above the first and few below the second"):
        splits_of(value)


def test_the_usual_ones_leave_a_protocol_as_it_was() -> None:
    usual = Protocol("quick", "resnet20", epochs=16)
    other = usual.replace(splits=[50, 10], name="quick")
    assert "splits" not in usual.as_dict() and usual.replace(splits=(100, 20)) == usual
    assert other.as_dict() == {**usual.as_dict(), "splits": [50, 10]}
    assert Protocol.from_dict(other.as_dict()) == other != usual
