"""Tuned rows stand in tables of their own, marked, and without a rank where more than five hyperparameters were tuned."""

from __future__ import annotations

import csv
import io
from typing import Any

from ltbench.leaderboard.collect import collect, same_row
from ltbench.leaderboard.details import command
from ltbench.leaderboard.export import table_dict, to_csv
from ltbench.leaderboard.ranking import standings
from ltbench.leaderboard.rows import Table
from ltbench.leaderboard.tables import render
from ltbench.results.schema import Record
from tests.support.record_factory import predictions, record, stored


def tuned(names: tuple[str, ...] = ("la.tau",), trials: int = 20, seed: int = 0, right: tuple[int, int, int, int] = (3, 2, 1, 0),
          **changes: Any) -> dict[str, Any]:
    value = record(predictions(right=right), expression="la", task__seed=seed, **changes)
    return value | {"tuning_trials": trials if names else 0, "tuning": {
        "expression": "la", "space": {name: {"kind": "uniform", "low": 0.0, "high": 3.0} for name in names},
        "sampler": {"name": "tpe", "seed": 7, "optuna": "5.0.0"}, "budget": {"trials": trials, "protocol": value["protocol"]},
        "validation": {"source": "held out", "counts": [1, 1, 1, 1], "sha256": "aa"}, "trials": [], "chosen": None}}


def tables(*records: dict[str, Any]) -> list[Table]:
    found, problems = collect(stored(*records))
    assert problems == []
    return found


def _command(*records: dict[str, Any]) -> str | None:
    return command([Record.model_validate(value) for value in records])


def test_tuned_and_untuned_rows_are_never_in_one_table() -> None:
    plain, with_trials = record(expression="la"), tuned()
    found = tables(plain, with_trials, tuned(trials=40, expression_hash="b" * 16))
    assert sorted(table.tuning["trials"] if table.tuning else 0 for table in found) == [0, 20, 40]
    assert not same_row(*(Record.model_validate(value) for value in (plain, with_trials)))
    text = render(found, "md")
    assert text.count("tuned by 20 trials of quick 16 epochs on held-out training images") == 1
    assert text.count("tuned: la.tau") == 2


def test_a_row_with_nothing_to_tune_stands_beside_tuned_ones_of_the_same_budget() -> None:
    (table,) = tables(tuned(), tuned((), expression_hash="c" * 16))
    assert [row.tuned for row in table.rows] in ([("la.tau",), ()], [(), ("la.tau",)])
    assert table.ranks() == [1, 1]


def test_rows_judged_by_other_validation_images_share_no_table() -> None:
    def judged(source: str, sha256: str, letter: str) -> dict[str, Any]:
        value = tuned(expression_hash=letter * 16)
        value["tuning"]["validation"] |= {"source": source, "sha256": sha256}
        return value

    assert len(tables(judged("own", "aa", "c"), judged("own", "aa", "d"))) == 1
    assert len(tables(judged("own", "aa", "c"), judged("own", "bb", "d"))) == 2
    assert len(tables(judged("held out", "aa", "c"), judged("held out", "bb", "d"))) == 1  # which two splits differ in


def test_six_tuned_hyperparameters_have_no_rank() -> None:
    many = tuple(f"la.{letter}" for letter in "abcdef")
    records = [tuned(many, seed=seed, right=(3, 3, 3, 3)) for seed in (0, 1)] + \
        [tuned(many[:5], seed=seed, expression_hash="d" * 16) for seed in (0, 1)]
    (table,), _ = collect(stored(*records))
    assert [len(row.tuned) for row in table.rows] == [6, 5] and table.ranks() == [None, 1]
    assert "not ranked: 6 tuned hyperparameters, at most 5 are ranked" in render([table], "md")
    reasons = [row.left_out for row in standings(table, {}).rows]
    assert reasons[0] == "6 tuned hyperparameters, at most 5 are ranked"


def test_programs_see_what_was_tuned_and_untuned_tables_read_as_before() -> None:
    plain, with_trials = tables(record(expression="la"))[0], tables(tuned())[0]
    assert "tuning" not in table_dict(plain) and "tuned" not in table_dict(plain)["rows"][0]
    assert table_dict(with_trials)["tuning"]["trials"] == 20 and table_dict(with_trials)["rows"][0]["tuned"] == ["la.tau"]
    assert "tuned" not in to_csv([plain]).partition("\n")[0]
    first, second = csv.DictReader(io.StringIO(to_csv([plain, with_trials])))
    assert (first["tuned"], second["tuned"], second["tuning_trials"]) == ("", "la.tau", "20")


def test_the_command_of_a_tuned_row_tunes() -> None:
    assert _command(tuned(), tuned(seed=1)) == (
        "ltbench tune la --trials 20 --seed 7 --dataset digits-lt@20 --seeds 0,1 --protocol quick")
    other = tuned()
    other["tuning"]["budget"]["protocol"] = {**other["protocol"], "name": "smoke", "epochs": 2}
    assert "--seed 7 --trial-protocol smoke --dataset" in str(_command(other))
