from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.cli.main import build_parser
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from tests.support.sessions import run_cell, session

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "notebook.py"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))


class Halved(ltbench.Method):
    """Halve the loss."""

    name = "halved"
    stages = frozenset({1})

    def criterion(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().criterion(logits, labels) / 2


def smoke(**options: object) -> ltbench.Runs:
    return ltbench.run(**{"protocol": "smoke", "seeds": 0, "cpu": True, **options})  # type: ignore[arg-type]


def test_it_runs_what_the_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    from ltbench.cli.main import main

    result = smoke(methods=["ce", "la"], seeds=[0, 1], set={"la.tau": 0.5}, out=Path("python"))
    assert capsys.readouterr().out == ""
    assert main(["run", "--methods", "ce,la", "--protocol", "smoke", "--seeds", "0,1", "--set", "la.tau=0.5", "--cpu",
                 "--out", "shell"]) == 0
    shell = {item.path.name: item.record for item in records.read_directory(Path("shell"))[0]}
    assert len(result.stored) == len(result.records) == len(shell) == 4
    assert repr(result) == "Runs(4 completed)"
    assert all(records.equal(item.record, shell[item.path.name]) == [] for item in result.stored)
    table = result.table()
    assert table["method"].tolist() == ["la(tau=0.5)", "ce"] or table["method"].tolist() == ["ce", "la(tau=0.5)"]
    accuracies = [record.metrics.accuracy.all for record in result.records if record.expression == "ce"]
    assert table.set_index("method").loc["ce", "accuracy.all"] == pytest.approx(sum(accuracies) / 2)


def test_a_class_needs_no_plugin() -> None:
    result = smoke(methods=[Halved, "halved+drw/crt"], keep="nothing")
    assert [record.expression for record in result.records] == ["halved", "halved+drw/crt"]
    assert result.records[0].stages[0].methods[0].sources.keys() >= {"tests/test_api.py"}
    with pytest.raises(ltbench.UserError, match="unknown method 'halved'"):
        smoke(methods="halved")  # nothing stays registered


def test_nothing_of_the_callers_is_changed() -> None:
    from accelerate.state import AcceleratorState

    torch.manual_seed(7)
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    modes = torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()
    state = dict(AcceleratorState._shared_state)
    torch.set_flush_denormal(False)
    torch.set_num_threads(2)
    try:
        smoke(methods="ce", threads=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()) == modes
    assert sys.float_info.min / 2 > 0
    assert AcceleratorState._shared_state == state


def test_mistakes_are_user_errors_with_the_commands_words() -> None:
    for options, message in (({"methods": "prototpe"}, "unknown method 'prototpe'; did you mean 'prototype'?"),
                             ({"methods": ["ce", 3]}, "methods must be expressions or classes derived from ltbench.Method"),
                             ({"methods": "ce", "seeds": [-1]}, "--seeds must be >= 0 and below 2^63, got '-1'"),
                             ({"methods": "ce", "lr": float("nan")}, "--lr must be > 0, got nan"),
                             ({"methods": "ce", "imbalance": "cliff"}, "invalid choice: 'cliff'"),
                             ({"methods": "ce", "plugin": "no.py"}, "--plugin must be a Python file that exists, got 'no.py'"),
                             ({"methods": "ce", "no_plugin": "baselines"}, "unknown method 'ce'"),
                             ({"methods": "la", "set": ["la.tau=1"]}, "set must be hyperparameters by method.name, such as"),
                             ({"methods": "ce", "set": {"ce.x": 1}}, "unknown hyperparameter of 'ce' 'x'")):
        with pytest.raises(ltbench.UserError) as raised:
            smoke(**options)
        assert message in str(raised.value)


def test_keywords_are_the_commands_options() -> None:
    parser = build_parser(load_registry(strict=False))
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    defaults = {action.dest: action.default for action in verbs.choices["run"]._actions}
    keywords = inspect.signature(ltbench.run).parameters
    assert keywords.keys() - defaults.keys() == {"plugin", "no_plugin"}
    for name in keywords.keys() - {"plugin", "no_plugin", "seeds", "split_seeds", "out", "track_dir", "set"}:
        assert keywords[name].default == defaults[name], name
    assert {name for name in keywords if f"\n        {name}: " not in str(ltbench.run.__doc__)} == set()


def test_pandas_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ltbench.UserError, match=r"^a table needs pandas: pip install 'ltbench\[table\]'$"):
        ltbench.Runs(()).table()


def test_the_example_runs_cell_by_cell() -> None:
    with session() as module:
        for cell in EXAMPLE.read_text().split("# %%")[1:]:
            run_cell(module, "#" + cell)
        assert sorted(module.table["method"]) == ["ce", "smoothed", "smoothed+drw/crt"]
        assert len(module.losses) == 2
        assert module.result.records[1].stages[0].methods[0].sources.keys() == {"typed/SmoothedLoss"}
