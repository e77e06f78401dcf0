"""``ltbench config`` and ``ltbench run --config``: told in a file or typed, a run is the same run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ltbench.cli.main import build_parser, main
from ltbench.planning.experiment import Experiment, Matrix
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from tests.support.blocks import blocks_of

TYPED = ["--methods", "ce,la(tau=1.5),ce/ncm", "--set", "la.tau=2", "--dataset", "digits-lt@10", "--protocol", "smoke", "--seeds",
         "0", "--imbalance", "step", "--keep", "nothing"]
HERE = ["--cpu", "--cache", "cache"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main([*arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ltbench: ") and said.count("\n") == 1
    return said.removeprefix("ltbench: ").strip()


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).glob("*.json"))


def test_typed_or_told_the_records_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *TYPED, *HERE, "--out", "typed"]) == 0
    assert main(["config", *TYPED, "--out", "told", "--to", "x.toml"]) == 0
    assert main(["run", "--config", "x.toml", *HERE, "--cache", "another"]) == 0
    assert names("typed") == names("told") and len(names("told")) == 3
    for name in names("told"):
        first, second = (records.read(Path(folder) / name) for folder in ("typed", "told"))
        assert first.key == second.key and records.equal(first, second) == []
    capsys.readouterr()
    assert main(["run", "--config", "x.toml", *HERE, "--out", "typed"]) == 0
    assert "[1/" not in capsys.readouterr().err  # what has a record is not run again


def test_what_is_typed_takes_the_place_of_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", *TYPED, "--to", "x.toml"]) == 0
    assert main(["run", "--config", "x.toml", *HERE, "--methods", "la", "--seeds", "0,1,2", "--out", "other"]) == 0
    made = [records.read(path) for path in sorted(Path("other").glob("*.json"))]
    told = [(one.expression, one.task.seed, one.task.imbalance) for one in made]
    assert told == [("la(tau=2.0)", seed, "step") for seed in range(3)]
    capsys.readouterr()
    assert main(["config", "--config", "x.toml", "--seeds", "0,1,2", "--imbalance-ratio", "10"]) == 0
    said = capsys.readouterr().out
    assert "seeds = [0, 1, 2]" in said and "imbalance_ratio = 10.0" in said
    assert 'methods = ["ce", "la(tau=1.5)", "ce/ncm"]' in said


def test_every_option_is_a_key_or_is_told_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser(load_registry(strict=False))
    args = parser.parse_args(["run", "--cpu", "--seeds", "0"])
    assert args.typed == {"cpu", "seeds"}
    of_machines = {"data_root", "download", "cache", "threads", "cpu", "track_with", "track_dir", "rerun", "dry_run", "estimate",
                   "jobs", "shard", "launcher", "slurm_jobs", "slurm", "wait"}
    elsewhere = {"config", "board", "run", "typed", "help", "registry", "debug", "log", "no_plugin", "plugin"}
    known = {*Matrix.model_fields, *Experiment.model_fields, "dataset"}
    assert vars(args).keys() - elsewhere - known == of_machines
    assert main(["config", "--methods", "ce", "--jobs", "2", "--data-root", "x"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"note: {name} is no part of an experiment: type it beside --config"
                                                    for name in ("--data-root", "--jobs")]


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.toml").write_text('[[matrix]]\nmethods = ["ce"]\ndatasets = ["digits-lt"]\nsedes = [0]\n')
    said = refusal(capsys, "run", "--config", "x.toml")
    assert said.startswith("unknown key 'sedes' in matrix 1 of 'x.toml'; did you mean 'seeds'? Known: methods, ")
    assert refusal(capsys, "run", "--config", "no.toml") == "'no.toml' cannot be read: No such file or directory"
    assert "not allowed with" in refusal(capsys, "run", "--config", "x.toml", "--board", ".")
    assert "--to must be a new file, got 'x.toml': File exists" in refusal(capsys, "config", "--methods", "ce", "--to", "x.toml")
    assert refusal(capsys, "config", "--epochs", "0") == "epochs of matrix 1 of the command must be > 0, got 0"
    said = refusal(capsys, "config", "--imbalance-ratio", "x")
    assert said == "imbalance_ratio of matrix 1 of the command must be a number, got 'x'"
    Path("x.toml").write_text('[[matrix]]\nmethods = ["ce"]\ndatasets = ["digits-lt"]\nseeds = [0]\nset.lla.tau = 1\n')
    assert refusal(capsys, "run", "--config", "x.toml", "--dry-run").startswith("unknown method 'lla'; did you mean 'la'")


def test_methods_of_a_file_come_along(capsys: pytest.CaptureFixture[str]) -> None:
    (method,) = (block for block in blocks_of("docs/writing-a-method.md") if block.title == "my_la.py")
    Path("told_la.py").write_text(method.text, encoding="utf-8")
    typed = ["--plugin", "told_la.py", "--methods", "my_la", "--protocol", "smoke", "--seeds", "0"]
    assert main(["config", *typed, "--to", "x.toml"]) == 0
    assert 'plugin = ["told_la.py"]\n' in Path("x.toml").read_text()
    assert main(["run", "--config", "x.toml", *HERE]) == 0
    assert main(["run", "--config", "x.toml", "--plugin", "told_la.py", *HERE]) == 0  # which stands once, typed and told
    Path("no_hooks.py").write_text(method.text.replace('name = "my_la"', 'name = "my_other"'), encoding="utf-8")
    capsys.readouterr()
    assert main(["config", "--config", "x.toml", "--plugin", "no_hooks.py"]) == 0
    assert 'plugin = ["told_la.py", "no_hooks.py"]\n' in capsys.readouterr().out


def test_the_schema_and_the_line_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--schema"]) == 0
    assert '"additionalProperties": false' in capsys.readouterr().out
    assert main(["config", "--schema", "--to", "experiment.schema.json"]) == 0
    assert main(["config", "--methods", "ce", "--to", "x.toml"]) == 0
    assert Path("x.toml").read_text().startswith("#:schema ./experiment.schema.json\n")


def test_the_installed_program(here: Path) -> None:
    program = str(Path(sys.executable).with_name("ltbench"))
    written = subprocess.run([program, "config", *TYPED], capture_output=True, text=True, check=True, cwd=here)
    Path("x.toml").write_text(written.stdout)
    planned = subprocess.run([program, "run", "--config", "x.toml", "--dry-run"], capture_output=True, text=True, cwd=here)
    assert planned.returncode == 0 and "ce/ncm" in planned.stdout, planned.stderr
