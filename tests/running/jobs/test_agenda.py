"""Who starts when, on plans of which only the keys of the stages matter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from ltbench.planning.plan import RunPlan
from ltbench.running.jobs.agenda import Agenda


def runs(*keys: str) -> list[RunPlan]:
    """Return plans whose stages have these keys, one letter each."""
    return [cast(RunPlan, SimpleNamespace(stages=[SimpleNamespace(number=i, key=key) for i, key in enumerate(text, start=1)]))
            for text in keys]


def test_distinct_first_stages_start_first() -> None:
    agenda = Agenda(runs("a", "ax", "ay", "b", "bz"))
    assert [agenda.take(), agenda.take(), agenda.take()] == [1, 4, None]  # all others need a or b, which are being made
    agenda.obtained(1, 1)
    assert agenda.take() == 2  # a is there, though run 1 has not ended
    agenda.ended(1)
    agenda.obtained(4, 1)
    agenda.ended(4)
    assert [agenda.take(), agenda.take(), agenda.take()] == [3, 5, None]
    assert not agenda.over and agenda.left == 3
    for number in (2, 3, 5):
        agenda.ended(number)
    assert agenda.over and agenda.left == 0


def test_a_first_stage_that_nobody_has_begun_comes_before_what_stands_on_one() -> None:
    agenda = Agenda(runs("a", "ax", "b"))
    assert agenda.take() == 1
    agenda.obtained(1, 1)
    assert [agenda.take(), agenda.take()] == [3, 2]


def test_later_stages_are_waited_for_too() -> None:
    agenda = Agenda(runs("ax", "axy", "az"))
    assert agenda.take() == 1
    agenda.obtained(1, 1)
    assert [agenda.take(), agenda.take()] == [3, None]  # run 2 needs x
    agenda.obtained(1, 2)
    assert agenda.take() == 2


def test_a_run_that_fails_frees_what_it_did_not_finish() -> None:
    agenda = Agenda(runs("a", "ax"))
    assert [agenda.take(), agenda.take()] == [1, None]
    agenda.ended(1)
    assert agenda.take() == 2


def test_a_first_stage_that_is_given_is_waited_for_by_nobody() -> None:
    agenda = Agenda(runs("ax", "ay", "ax"), given=True)
    assert [agenda.take(), agenda.take(), agenda.take()] == [1, 2, None]
