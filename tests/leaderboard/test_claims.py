from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard.claims import FAILS, HOLDS, LESS, OPEN, Claim, decide, read_claims
from ltbench.leaderboard.differences import Difference
from ltbench.leaderboard.reported import Printed, read_reported
from ltbench.planning.expression import resolve
from ltbench.registry.discovery import load_registry

BOARDS = Path(__file__).resolve().parents[2] / "leaderboards"
SOFTMAX = Printed("a paper", "1", "softmax", "", "digits-lt", 20.0, "ce", "", "digits", 200, 0.0, {"all": 46.1, "few": 11.3})
NCM = replace(SOFTMAX, method="ncm", expression="ce/ncm", accuracy={"all": 48.7})
CLAIM = Claim("means are better", "all", NCM, SOFTMAX, 2.6, None)
TEXT = """
[[claim]]
says = "means are better"
source = "a paper"
table = "1"
better = "ncm"
than = "softmax"
where = ["digits-lt@20"]
common = ["ce/ncm", "ce"]
"""


@pytest.mark.parametrize(("interval", "runs", "verdict", "reason"), [
    ((1.5, 4.0), 3, HOLDS, ""),
    ((0.2, 1.2), 3, HOLDS, LESS),  # half of 2.6 is 1.3
    ((-0.5, 1.2), 3, FAILS, LESS),
    ((-0.5, 1.4), 3, OPEN, "the interval holds 0"),
    ((-2.0, -0.1), 3, FAILS, "the other way round"),
    ((1.5, 4.0), 2, OPEN, "2 seeds, 3 are needed"),
    (None, 1, OPEN, "1 seed, 3 are needed"),
])
def test_verdicts(interval: tuple[float, float] | None, runs: int, verdict: str, reason: str) -> None:
    found = Difference("all", 40.0, 41.0, 1.0, interval, None)
    assert decide(CLAIM, found, runs) == (verdict, reason)


def test_a_claim_is_the_difference_of_two_printed_rows(tmp_path: Path) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(TEXT, encoding="utf-8")
    assert read_claims(file, [SOFTMAX, NCM]) == [replace(CLAIM, common=("ce/ncm", "ce"))]
    assert read_claims(tmp_path / "none.toml", []) == []


@pytest.mark.parametrize(("before", "after", "said"), [
    ('than = "softmax"', 'than = "ce"', "claim 1 of .* at digits-lt@20 must name one printed row .*, got 0 for 'ce' in table 1"),
    ('better = "ncm"\nthan = "softmax"', 'better = "softmax"\nthan = "ncm"', "must be what is printed, got -2.6 points"),
    ('where = ["digits-lt@20"]', 'where = ["digits-lt@x"]', "where of claim 1 .* got 'digits-lt@x'"),
    ('where = ["digits-lt@20"]', 'where = "digits-lt@20"', "where of claim 1 .* must be a list of texts, got 'digits-lt@20'"),
    ('common = ["ce/ncm", "ce"]', 'common = ["ce"]', "common of claim 1 .* must be two expressions"),
    ('common = ["ce/ncm", "ce"]', 'split = "few"', "must be of a split that both rows print, got 'few'"),
    ('common = ["ce/ncm", "ce"]', 'split = "head"', "split of claim 1 .* must be one of all, many, medium, few, got 'head'"),
    ('says = "means are better"', 'says = ""', "says of claim 1 .* must be a text, got ''"),
    ("says", "said", "must hold .* alone, got 'said'"),
    ("[[claim]]", "[[claim", "cannot be read"),
])
def test_mistakes_are_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    file = tmp_path / "claims.toml"
    assert before in TEXT
    file.write_text(TEXT.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        read_claims(file, [SOFTMAX, NCM])
    assert "\n" not in str(caught.value)


def test_the_claims_of_the_papers() -> None:
    claims = read_claims(BOARDS / "claims.toml", read_reported(BOARDS / "reported.csv"))
    assert {claim.better.source for claim in claims} == {"prototype", "learned-ncm", "iccl", "nc-regularizers", "hyperspherical"}
    first = claims[0]
    assert (first.better.accuracy["all"], first.worse.accuracy["all"], first.difference) == (48.67, 46.12, 2.55)
    assert all(claim.difference > 0 for claim in claims)


def test_their_expressions_are_canonical() -> None:
    """A board finds the rows of the common track by them."""
    registry = load_registry(strict=False)
    content = tomllib.loads((BOARDS / "claims.toml").read_text(encoding="utf-8"))
    texts = {text for claim in content["claim"] for text in claim.get("common", [])}
    assert len(texts) > 10
    assert {text: str(resolve(text, registry, {})) for text in texts} == {text: text for text in texts}
