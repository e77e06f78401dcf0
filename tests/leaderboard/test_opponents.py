from __future__ import annotations

from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.opponents import Opponent, differing, find, is_file, match, opponents
from tests.support.record_factory import broken, record, stored


def _known(*values: dict[str, Any]) -> list[Opponent]:
    found, problems = opponents(stored(*values))
    assert problems == []
    return found


def test_rows_are_found_by_their_expression() -> None:
    known = _known(record(), record(task__seed=1), record(expression="la"), broken("diverged", task__seed=2))
    (one,) = find("ce", known)
    assert (one.name, list(one.runs), one.broken) == ("ce", [(0, 0), (0, 1)], 1)
    assert is_file("runs/a.json") and not is_file("ce/ncm")


def test_the_order_within_a_stage_does_not_matter() -> None:
    assert find("nc+drw/crt", _known(record(expression="drw+nc/crt")))[0].name == "drw+nc/crt"


def test_an_unknown_expression_gets_a_hint() -> None:
    with pytest.raises(UserError, match=r"^unknown method among the records 'cee'; did you mean 'ce'\? Known: ce, la$"):
        find("cee", _known(record(), record(expression="la")))


def test_two_rows_of_one_expression_are_ambiguous() -> None:
    known = _known(record(), record(expression_hash="fedcba9876543210"))
    with pytest.raises(UserError, match=r"must name one row, got 'ce', which may be 'ce #01234567' \(seed 0 of split seed 0\) or "
                       r"'ce #fedcba98' \(seed 0 of split seed 0\)$"):
        find("ce", known)
    assert [one.name for one in find("ce #fedcba98", known)] == ["ce #fedcba98"]


def test_one_expression_on_two_sets_of_terms() -> None:
    first = find("ce", _known(record(), record(protocol__epochs=17)))
    second = find("la", _known(record(expression="la", protocol__epochs=17)))
    assert [[one.terms["protocol.epochs"] for one in pair] for pair in match(first, second)] == [[17, 17]]


@pytest.mark.parametrize(("changes", "setting"), [
    ({"task__dataset": "cifar100-lt"}, "dataset digits-lt and cifar100-lt"),
    ({"task__imbalance_ratio": 50.0}, "imbalance_ratio 20.0 and 50.0"),
    ({"task__imbalance": "step"}, "imbalance exp and step"),
    ({"track": "paper"}, "track common and paper"),
    ({"selection": "val"}, "selection last and val"),
    ({"precision": "bf16"}, "precision fp32 and bf16"),
    ({"external": "their checkpoint"}, "external None and external first stages"),
    ({"protocol__name": "custom", "protocol__lr": 0.2}, "protocol.lr 0.1 and 0.2, protocol.name quick and custom"),
    ({"split__hash": "cd" * 32}, f"hash of split 0 {'ab' * 32} and {'cd' * 32}"),
])
def test_other_terms_are_refused_by_name(changes: dict[str, Any], setting: str) -> None:
    one, other = find("ce", _known(record())), find("la", _known(record(expression="la", **changes)))
    with pytest.raises(UserError) as caught:
        match(one, other)
    assert str(caught.value) == f"terms of 'ce' and 'la' must be equal, got {setting}"


def test_many_settings_are_counted() -> None:
    changes = {f"protocol__{name}": 1 for name in ("lr", "momentum", "gamma", "warmup", "epochs", "batch_size", "weight_decay")}
    with pytest.raises(UserError, match="and 1 more$"):
        match(find("ce", _known(record())), find("la", _known(record(expression="la", **changes))))


def test_a_subset_that_one_lacks_is_no_difference() -> None:
    (one,), (other,) = _known(record()), _known(record(expression="la"), record(expression="la", task__split_seed=1,
                                                                                          split__hash="cd" * 32))
    assert differing(one, other) == []
    (mixed,) = _known(record(expression="la"), record(expression="la", task__seed=1, split__hash="cd" * 32))
    assert differing(one, mixed) == ["hash of split 0"]
    assert differing(*_known(record(task__imbalance_ratio=20)), _known(record(expression="la"))[0]) == []
