from __future__ import annotations

import csv
import importlib.util
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.leaderboard import elsewhere
from ltbench.leaderboard.asked import Asked, read_asked, run_of_claim, seeds_there, to_csv_line
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.reported import Printed, read_reported
from ltbench.planning.request import How, Request, Terms, What
from ltbench.terms.shots import Splits
from tests.support.record_factory import broken, record, stored

ROOT = Path(__file__).resolve().parents[2]
BOARDS = ROOT / "leaderboards"
RUN = Asked("digits", "digits-lt", 20.0, "common", "quick", "", "fp32", "ce", "resnet20", 16, 0.0, (0, 1, 2), 6_400, 10**15,
            1_000, "ltbench run")


def write(file: Path, *runs: Asked, **changes: str) -> Path:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Asked)])
        writer.writeheader()
        writer.writerows({**to_csv_line(run), **changes} for run in runs)
    return file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    natural = replace(RUN, imbalance_ratio=None, noise=0.1, command="ltbench run --methods 'a,b'")
    assert read_asked(write(tmp_path / "runs.csv", RUN, natural)) == [RUN, natural]
    assert read_asked(tmp_path / "none.csv") == []


def test_a_column_for_other_splits_where_one_run_asks_for_them(tmp_path: Path) -> None:
    other = replace(RUN, splits=Splits(50, 10))
    assert read_asked(write(tmp_path / "runs.csv", RUN, other)) == [RUN, other]
    lines = (tmp_path / "runs.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "runs.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines[:2]), encoding="utf-8")
    assert read_asked(tmp_path / "runs.csv") == [RUN]
    assert other.terms == f"{RUN.terms}, many > 50, few < 10"
    tables, _ = collect(stored(record(protocol__splits=[50, 10])))
    assert (seeds_there(RUN, tables), seeds_there(other, tables)) == ([], [0])


@pytest.mark.parametrize("changes", [{"images": "x"}, {"seeds": "0 x"}, {"imbalance_ratio": "x"}])
def test_a_damaged_file_is_named(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"line 2 of '.*runs.csv' must hold one run"):
        read_asked(write(tmp_path / "runs.csv", RUN, **changes))
    (tmp_path / "runs.csv").write_text("board,command\n", encoding="utf-8")
    with pytest.raises(UserError, match="must have the columns board, dataset"):
        read_asked(tmp_path / "runs.csv")


def test_texts_for_people() -> None:
    assert RUN.terms == "digits-lt@20, common track, quick protocol, resnet20, 16 epochs, fp32"
    assert replace(RUN, track="paper", protocol="paper", paper="lncm", precision="", epochs=1).terms == (
        "digits-lt@20, paper track, resnet20, 1 epoch, terms of lncm")
    assert RUN.cost == "0.0 M images, 1.0 PFLOP"


@pytest.mark.parametrize(("changes", "seeds"), [
    ({}, [0, 2]),
    ({"precision": "bf16"}, []),
    ({"track": "paper"}, []),
    ({"task__split_seed": 1}, []),
    ({"expression": "la"}, []),
    ({"external": "ab" * 32, "pretraining": {"kind": "weights", "model": "resnet20", "source": "file", "sha256": "ab" * 32,
                                             "tune": "all"}}, []),
])
def test_seeds_that_are_there(changes: dict[str, Any], seeds: list[int]) -> None:
    """Seed 1 diverged, and seed 7 was not asked for."""
    completed = [record(task__seed=seed, **changes) for seed in (0, 2, 7)]
    tables, _ = collect(stored(*completed, broken("diverged", task__seed=1, **changes)))
    assert seeds_there(RUN, tables) == seeds


def test_a_run_that_starts_from_weights_of_elsewhere(tmp_path: Path) -> None:
    """What is tuned of them tells tables apart, so it tells apart which run a record is of."""
    weights = {"kind": "weights", "model": "resnet20", "source": "file", "sha256": "ab" * 32}
    tables, _ = collect(stored(*(record(task__seed=seed, external="ab" * 32, pretraining={**weights, "tune": tune})
                                 for seed, tune in ((0, "all"), (1, "last")))))
    what = What(("ce",), ("digits-lt",))
    for terms, how, seeds in ((Terms(), How(), []), (Terms(init="w.pth"), How(), [0]),
                              (Terms(init="w.pth", tune="last"), How(), [1]), (Terms(), How(weights="w.pth"), [])):
        run = replace(RUN, external=elsewhere.of_request(Request(what, terms, how)) or "")
        assert seeds_there(run, tables) == seeds
        assert read_asked(write(tmp_path / "runs.csv", run)) == [run]
    assert replace(RUN, external="external pre-training").terms == f"{RUN.terms}, external pre-training"


def test_the_run_of_a_printed_row() -> None:
    claim = Printed("a paper", "1", "softmax", "", "digits-lt", 20.0, "ce", "", "resnet20", 16, 0.0, {"all": 49.0})
    assert run_of_claim(claim, [RUN]) is None  # that one is a board's
    own = replace(RUN, board="", precision="")
    assert run_of_claim(claim, [RUN, own]) is own
    assert run_of_claim(replace(claim, epochs=200), [own]) is None


def test_every_printed_row_that_a_paper_ran_has_its_run() -> None:
    asked = read_asked(BOARDS / "runs.csv")
    printed = read_reported(BOARDS / "reported.csv")
    assert len(printed) > 300
    assert [claim for claim in printed if run_of_claim(claim, asked) is None] == []


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Load tools/board_runs.py, which is no package."""
    spec = importlib.util.spec_from_file_location("board_runs", ROOT / "tools" / "board_runs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_as_planned(tool: ModuleType) -> None:
    assert (BOARDS / "runs.csv").read_text(encoding="utf-8") == tool.page(), "run: python tools/board_runs.py"


def test_what_a_run_takes() -> None:
    """CIFAR-100-LT at ratio 100 has 10,847 images: 84 batches of 128 an epoch.

    ResNet-32: of its 31 convolutions of 3 x 3 one reads 3 channels, ten work at 16 channels on 32 x 32, and ten each at 32 and 64
    on a half and a quarter of that, the first of which read half as many channels.
    """
    (run, later) = (one for one in read_asked(BOARDS / "runs.csv")
                    if one.board == "cifar100-lt" and one.protocol == "common" and one.expression in ("ce", "ce/ncm"))
    products = 9 * (1024 * (3 * 16 + 10 * 16 * 16) + 256 * (16 * 32 + 9 * 32 * 32) + 64 * (32 * 64 + 9 * 64 * 64))
    assert run.images == 200 * 84 * 128
    assert run.operations == pytest.approx(run.images * 3 * 2 * products, rel=0.01)
    assert (later.images - run.images, later.operations - run.operations) == (10_847, 10_847 * run.operations // run.images // 3)
