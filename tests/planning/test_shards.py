from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from ltbench.cli.main import build_parser
from ltbench.cli.run.options import request_of
from ltbench.errors import UserError
from ltbench.planning.matrix import plan_request
from ltbench.planning.plan import RunPlan
from ltbench.planning.shards import Shard, parse_shard, part
from ltbench.registry.discovery import load_registry

METHODS = ["ce", "ncm", "crt", "ldam", "ldam/crt"]


@pytest.fixture(scope="module")
def plans() -> list[RunPlan]:
    return matrix(METHODS, "0,1,2")


def matrix(methods: list[str], seeds: str, *more: str) -> list[RunPlan]:
    typed = ["run", "--protocol", "smoke", "--methods", ",".join(methods), "--seeds", seeds, *more]
    args = build_parser(load_registry()).parse_args(typed)
    return plan_request(request_of(args), args.registry).plans


def names(plans: list[RunPlan], count: int) -> list[set[str]]:
    return [{each.file_name for each in part(plans, Shard(number, count))} for number in range(1, count + 1)]


def test_every_run_is_in_one_shard(plans: list[RunPlan]) -> None:
    for count in (1, 2, 3, 4, 5, 7, 9, 14, 15, 16, 40):
        found = Counter(name for shard in names(plans, count) for name in shard)
        assert found == {each.file_name: 1 for each in plans}, count


def test_the_order_of_what_was_typed_changes_nothing(plans: list[RunPlan]) -> None:
    shuffled = list(plans)
    random.Random(0).shuffle(shuffled)
    typed_otherwise = matrix(METHODS[::-1], "2,0,1")
    for count in (2, 3, 7):
        assert names(plans, count) == names(shuffled, count) == names(typed_otherwise, count)


def test_a_first_stage_stays_in_one_shard_and_shards_are_balanced(plans: list[RunPlan]) -> None:
    """Six first stages of two epochs, three with three runs (load 5) and three with two (load 4).

    Three shards get one of each, 9 each. Four get, the largest first, 5, 5, 5, 4 and then 4 + 4 and 5 + 4: to the lightest.
    """
    assert [len(each) for each in names(plans, 3)] == [5, 5, 5]
    assert sorted(len(each) for each in names(plans, 4)) == [3, 3, 4, 5]
    for count in range(1, 7):
        homes: dict[str, set[int]] = {}
        for number in range(1, count + 1):
            for each in part(plans, Shard(number, count)):
                homes.setdefault(each.stages[0].key, set()).add(number)
        assert len(homes) == 6 and all(len(home) == 1 for home in homes.values()), count


def test_longer_first_stages_weigh_more() -> None:
    """Two sets at 2 and 2 epochs would go one to each shard; with 9 more epochs one goes alone."""
    one = matrix(["ce", "ldam", "focal"], "0")
    long = matrix(["mixup"], "0", "--epochs", "11")
    shards = [part([*one, *long], Shard(number, 2)) for number in (1, 2)]
    assert sorted(len(shard) for shard in shards) == [1, 3]


def test_more_shards_than_first_stages_split_the_largest(plans: list[RunPlan]) -> None:
    sizes = sorted(len(each) for each in names(plans, 9))
    assert sizes == [1, 1, 1, 2, 2, 2, 2, 2, 2]  # of 3 + 3 + 3 + 2 + 2 + 2, each three halved into 1 and 2
    assert [len(each) for each in names(plans[:2], 4)].count(0) == 2


def test_a_shard_keeps_the_order_of_the_matrix(plans: list[RunPlan]) -> None:
    places = [plans.index(each) for each in part(plans, Shard(1, 2))]
    assert places == sorted(places)


def test_records_change_no_shard(plans: list[RunPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard is a function of the plans alone: nothing of a folder is looked at."""
    monkeypatch.chdir(tmp_path)
    before = names(plans, 3)
    (tmp_path / "runs").mkdir()
    for each in plans[:4]:
        (tmp_path / "runs" / f"{each.file_name}.json").write_text("{}")
    assert names(matrix(METHODS, "0,1,2"), 3) == before


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/2", "-1/2", "1/2/3", "", "1/9999999999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--shard must be I/N with 1 <= I <= N, got '"):
        parse_shard(text)
    assert parse_shard("2/3") == Shard(2, 3)
