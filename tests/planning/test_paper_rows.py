"""Every figure that a paper ran itself is one command: the table of plugins/README.md against the printed figures."""

from __future__ import annotations

import argparse
import csv
import shlex
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from ltbench.cli.main import build_parser, main
from ltbench.cli.run.options import request_of
from ltbench.planning.matrix import plan_matrix
from ltbench.planning.plan import RunPlan
from ltbench.registry.discovery import load_registry
from tests.support.paper_rows import METHODS, Row, planned_fact, printed_facts

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("paper", "table", "dataset", "ratio", "backbone", "setting", "row", "command")


def printed() -> set[Row]:
    """Return the paper's own rows: (source, table, dataset, ratio, backbone, setting, method)."""
    with (ROOT / "leaderboards" / "reported.csv").open(newline="", encoding="utf-8") as file:
        names = ("source", "table", "dataset", "imbalance_ratio", "backbone", "setting", "method")
        return {tuple(row[name] for name in names) for row in csv.DictReader(file) if row["run_by"] == "this paper"}


def mapped() -> list[tuple[Row, str]]:
    """Return the rows of the table with their commands."""
    text = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
    lines = text[text.index("| paper | table |"):].splitlines()
    heading, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    assert tuple(heading) == COLUMNS
    return [(tuple(row[:-1]), row[-1].strip("`")) for row in rows]


def commands() -> list[str]:
    return sorted({command for _, command in mapped()})


def test_every_own_row_has_one_command_and_no_other_row_has_one() -> None:
    rows = Counter(row for row, _ in mapped())
    assert set(rows) == printed()
    assert max(rows.values()) == 1


def test_a_command_is_of_one_row() -> None:
    """Rows that share a command claim to be one experiment: two tables may print one, and nothing else may."""
    of: dict[str, set[Row]] = {}
    for row, command in mapped():
        of.setdefault(command, set()).add(row)
    for command, rows in of.items():
        assert len({row[1] for row in rows}) == len(rows), f"{command} stands for several rows of one table: {sorted(rows)}"
        assert len({(row[0], row[2], row[3]) for row in rows}) == 1, command


@cache
def plan_of(command: str) -> RunPlan:
    """Return the plan of a command's first seed, made in this process: all of them take six seconds."""
    args = _parser().parse_args([*shlex.split(command)[1:], "--seeds", "0"])
    (plan,) = plan_matrix(request_of(args), args.registry).plans
    return plan


@cache
def _parser() -> argparse.ArgumentParser:
    return build_parser(load_registry(strict=False))


@pytest.mark.parametrize(("row", "command"), mapped(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_a_command_does_what_its_row_says(row: Row, command: str) -> None:
    plan, said = plan_of(command), printed_facts(row)
    assert {name: planned_fact(plan, name) for name in said} == said


def test_rows_say_something_of_every_kind() -> None:
    """A cell that no pattern reads is compared with nothing."""
    said = Counter(name for row, _ in mapped() for name in printed_facts(row))
    assert {"dim", "epochs", "backbone", "ride.experts", "nc.within_weight > 0", "nc.between_weight > 0",
            "iccl.gamma", "iccl_rebalance.gamma", "iccl_rebalance.distill_weight", "prototype.distance", "crt.inputs",
            "lws.inputs"} <= set(said)
    assert said["noise"] == said["dataset"] == len(mapped())
    assert len({printed_facts(row)["noise"] for row, _ in mapped()}) == 5  # 0 to 0.4
    assert {key[:2] for key in METHODS} == {(row[0], row[6]) for row, _ in mapped()}  # no row's methods left over


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_can_be_planned(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(command)
    assert program == "ltbench" and arguments[:3] == ["run", "--track", "paper"]
    # An empty folder: what a plan needs of a dataset that is not there are the counts that its authors publish.
    code = main([*arguments, "--dry-run", "--data-root", str(tmp_path), "--cache", str(tmp_path), "--out", str(tmp_path)])
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "3 of 3 runs" in told.out
