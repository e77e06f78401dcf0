from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ltbench.cli import tune as tune_verb
from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.testing.processes import last_words, launch
from ltbench.training.stages import StageRunner
from ltbench.trust.ground import Ground
from ltbench.trust.record import check_record
from tests.cli.test_run import refusal
from tests.support.own_images import write_classes

SMOKE = ["--trials", "3", "--cpu", "--protocol", "smoke", "--seeds", "0"]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LTBENCH_DATA", raising=False)


def found(out: str) -> dict[str, records.Record]:
    stored, problems = records.read_directory(Path(out))
    assert problems == []
    return {item.record.tuning.expression if item.record.tuning else item.record.expression: item.record
            for item in stored}


def test_every_expression_gets_the_same_trials_and_a_run_with_what_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "ce/tau_norm,focal,ce", *SMOKE]) == 0
    captured = capsys.readouterr()
    rows = found("runs")
    assert sorted(rows) == ["ce", "ce/tau_norm", "focal"]
    for name, key in (("ce/tau_norm", "tau_norm.tau"), ("focal", "focal.gamma")):
        tuning = rows[name].tuning
        assert rows[name].tuning_trials == len(tuning.trials) == tuning.budget.trials == 3
        best = max(tuning.trials, key=lambda trial: trial.score)
        assert tuning.trials[tuning.chosen] == best
        method = rows[name].stages[-1].methods[0]
        assert method.hyperparameters[key.partition(".")[2]] == best.values[key]
        assert f"{name}: chose {key}=" in captured.err
    assert rows["ce"].tuning_trials == 0 and rows["ce"].tuning.chosen is None
    # The run trains on the whole split, of which the trials left a fifth out: 94 images, ten a class and down to six.
    assert sum(rows["focal"].split.class_counts) == 94
    assert rows["focal"].tuning.validation.counts == [2] * 8 + [1] * 2
    # The one table says how, and what.
    assert "tuned by 3 trials of smoke 2 epochs on held-out training images" in captured.out
    assert captured.out.count("tuned: ") == 2 and captured.out.count("\n## ") == 0
    for path in Path("runs").glob("*.json"):
        _, findings = check_record(path, load_registry(strict=False), Ground(load_registry(strict=False), None))
        assert [finding for finding in findings if finding.level == "error"] == []


def test_a_score_over_fewer_classes_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(Path("one/train"), {"cat": 6, "dog": 6, "elk": 1})
    write_classes(Path("one/test"), {"cat": 1, "dog": 1, "elk": 1})
    assert main(["tune", "post_la", *SMOKE[2:], "--trials", "1", "--dataset", "folder:one", "--image-size", "32"]) == 0
    tuning, told = found("runs")["post_la"].tuning, "over 2 of 3 classes: the others have no validation image"
    assert tuning.validation.counts == [1, 1, 0]
    score = f"{tuning.trials[0].score:.2f} % of the validation part, {told}\n"
    assert f"[trial 1/1] post_la with post_la.tau=1.646: {score}" in capsys.readouterr().err
    (path,) = map(str, Path("runs").glob("*.json"))
    assert main(["show", path]) == 0
    assert f"tuned: post_la.tau; trials: 1; best: {score}" in capsys.readouterr().out
    assert main(["check", path]) == 0
    assert f"{path}: warning: tuning.trials: scores are {told}\n" in capsys.readouterr().out


def test_a_killed_study_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tune", "ce/tau_norm", *SMOKE]
    assert main([*command, "--out", "whole"]) == 0
    stages: list[str] = []
    obtain = StageRunner.obtain

    def killed(self: StageRunner, plan: Any, *arguments: Any) -> Any:
        stages.append(plan.text)
        if len(stages) == 4:  # of the second trial's second stage
            raise KeyboardInterrupt
        return obtain(self, plan, *arguments)

    monkeypatch.setattr(StageRunner, "obtain", killed)
    assert main([*command, "--out", "parts"]) == 130
    (file,) = Path("parts/tuning").iterdir()
    assert len(file.read_text().splitlines()) == 2
    capsys.readouterr()
    assert main([*command, "--out", "parts"]) == 0
    assert "[trial 1/3]" not in capsys.readouterr().err
    assert records.equal(found("whole")["ce/tau_norm"], found("parts")["ce/tau_norm"]) == []
    assert len(stages) == 4 + 2 * 2 + 2  # two trials and the run


@pytest.mark.slow
def test_more_trials_go_on_from_fewer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "post_la", *SMOKE]) == 0
    few = found("runs")["post_la"].tuning.trials
    capsys.readouterr()
    assert main(["tune", "post_la", *SMOKE[2:], "--trials", "5", "--out", "runs"]) == 0
    said = capsys.readouterr().err
    assert "[trial 3/5]" not in said and "[trial 4/5]" in said
    trials = [item.record.tuning.trials for item in records.read_directory(Path("runs"))[0]]
    assert sorted(map(len, trials)) == [3, 5] and all(longer[:3] == few for longer in trials)


def test_a_space_that_every_trial_would_refuse_is_refused_before_the_first(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "whole_search", raising=False)
    file = tmp_path / "whole_search.py"
    file.write_text("from typing import Annotated\n\nimport ltbench\n\n\nclass Whole(ltbench.Method):\n"
                    "    \"\"\"Have a size.\"\"\"\n\n    name = 'whole'\n    stages = frozenset({1})\n\n"
                    "    def __init__(self, facts, *, size: Annotated[int, ltbench.Uniform(1, 4)] = 1):\n"
                    "        super().__init__(facts)\n")
    assert main(["tune", "ce/tau_norm,whole", "--plugin", str(file), *SMOKE]) == 2
    assert capsys.readouterr().err.endswith("\nltbench: search of method 'whole': whole.size must be an integer, got "
                                            "1.954929658551372\n")
    assert not Path("runs").exists()


def test_what_is_set_is_not_tuned(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["tune", "drw+ldam,focal(gamma=1.5)", *SMOKE, "--dry-run"]
    assert main([*arguments, "--set", "drw.beta=0.99"]) == 0
    assert capsys.readouterr().err == ("ldam+drw(beta=0.99): 3 trials of ldam.max_margin in 0.1 to 1\n"
                                       "focal(gamma=1.5): has nothing to tune\n")
    assert not Path("runs").exists()


@pytest.mark.slow
def test_trials_may_have_a_protocol_of_their_own() -> None:
    assert main(["tune", "post_la", *SMOKE, "--trial-protocol", "quick", "--trials", "1"]) == 0
    assert found("runs")["post_la"].tuning.budget.protocol.name == "quick"
    assert found("runs")["post_la"].protocol.name == "smoke"


@pytest.mark.slow
def test_two_processes_try_the_same(tmp_path: Path) -> None:
    arguments = ["tune", "ce/tau_norm", *SMOKE]
    command = [sys.executable, "-m", "ltbench.cli.main", *arguments, "--out", "two", "--cache", "cache-of-two"]
    assert launch(command, 2, tmp_path, seconds=300) == [0, 0], last_words(tmp_path, 2)
    assert main([*arguments, "--out", "one"]) == 0
    one, two = (next(Path(folder, "tuning").iterdir()).read_text() for folder in ("one", "two"))
    assert one == two


@pytest.mark.slow
def test_of_two_processes_the_main_one_says_that_nothing_was_tuned(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ltbench.cli.main", "tune", "la", *SMOKE, "--trials", "1", "--lr", "1e30"]
    assert launch(command, 2, tmp_path, seconds=300) == [1, 0], last_words(tmp_path, 2)
    said = [(tmp_path / f"rank-{rank}.log").read_text() for rank in range(2)]
    assert ["failed: tuning of la" in each for each in said] == [True, False]


def test_a_trial_that_breaks_ends_its_study_and_no_other(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
                                                         ) -> None:
    obtain = StageRunner.obtain

    def breaks(self: StageRunner, plan: Any, *arguments: Any) -> Any:
        if plan.text.startswith("focal"):
            raise RuntimeError("out of luck")
        return obtain(self, plan, *arguments)

    monkeypatch.setattr(StageRunner, "obtain", breaks)
    assert main(["tune", "focal,ce", *SMOKE]) == 1
    assert "failed: tuning of focal: a trial of focal(gamma=2.744): RuntimeError: out of luck\n" in capsys.readouterr().err
    assert list(found("runs")) == ["ce"]


def test_values_that_are_refused_together_are_a_trial_and_never_chosen(monkeypatch: pytest.MonkeyPatch,
                                                                       capsys: pytest.CaptureFixture[str]) -> None:
    one = tune_verb._one

    def refuses(request: Any, registry: Any, text: str, values: Any) -> Any:
        if values == {"post_la.tau": 1.646}:  # the first that seed 0 asks for
            raise UserError("these do not go together")
        return one(request, registry, text, values)

    monkeypatch.setattr(tune_verb, "_one", refuses)
    assert main(["tune", "post_la", *SMOKE]) == 0
    tuning = found("runs")["post_la"].tuning
    assert tuning.trials[0].as_dict() == {"values": {"post_la.tau": 1.646}, "score": None, "status": "refused"}
    assert len(tuning.trials) == 3 and tuning.chosen in (1, 2)
    assert "[trial 1/3] post_la with post_la.tau=1.646: refused\n" in capsys.readouterr().err


def test_final_runs_are_planned_again_with_what_was_chosen_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, planned = tune_verb._one, []

    def notes(request: Any, registry: Any, text: str, values: Any) -> Any:
        planned.append((request.what.seeds, dict(values)))
        return one(request, registry, text, values)

    monkeypatch.setattr(tune_verb, "_one", notes)
    assert main(["tune", "post_la", *SMOKE[2:-1], "1", "--trials", "1"]) == 0
    tried = {"post_la.tau": 1.646}
    assert planned == [((0,), {}), ((0,), tried), ((1,), tried)]  # the base of the trials, the trial, the final run


def test_a_study_of_diverged_trials_alone_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "la", *SMOKE, "--trials", "2", "--lr", "1e30"]) == 1
    said = capsys.readouterr().err
    assert "[trial 2/2] la with la.tau=2.146: diverged\n" in said
    assert "failed: tuning of la: none of 2 trials completed, the last one diverged\n" in said
    assert list(Path("runs").glob("*.json")) == []


@pytest.mark.parametrize(("arguments", "message"), [
    (["all"], "EXPR must be expressions, got 'all'"),
    ([""], "EXPR must be expressions, got ''"),
    (["prototpe"], "unknown method 'prototpe'; did you mean 'prototype'?"),
    (["la", "--trials", "0"], "--trials must be >= 1, got 0"),
    (["la", "--seed", "-1"], "--seed must be >= 0 and below 2^63, got -1"),
    (["la", "--track", "paper"], "--track must be common for tuning, got paper"),
    (["la", "--stage1", "x"], "--stage1 must be left out for tuning"),
    (["la", "--split-seeds", "0,1"], "--split-seeds must be one seed, got '0,1': each subset is tuned for itself"),
    (["la", "--dataset", "digits-lt,cifar10-lt"], "--dataset must be one set, got 'digits-lt,cifar10-lt'"),
    (["la", "--dataset", "digits-lt,digits-lt@10"], "--dataset must be one set, got 'digits-lt,digits-lt@10'"),
    (["la", "--trial-protocol", "comon"], "did you mean 'common'?"),
    (["la", "--set", "crt.x=1"], "unknown method of this run in --set 'crt'"),
    (["la", "--batch-size", "90"], "batch size must be at most the 76 images that an epoch draws, got 90"),
])
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    expression, *options = arguments
    line = refusal(capsys, "tune", expression, *SMOKE[2:], *([] if "--trials" in options else SMOKE[:2]), *options)
    assert message in line


def test_the_space_stands_beside_the_hyperparameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "ldam", "--json"]) == 0
    rows = {row["hyperparameter"]: row["tuned in"] for row in json.loads(capsys.readouterr().out)}
    assert rows == {"max_margin": "0.1 to 1", "scale": None}
