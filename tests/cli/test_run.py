from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.results import records

SMOKE = ["run", "--cpu", "--protocol", "smoke", "--seeds", "0"]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LTBENCH_DATA", raising=False)


def found(out: Path) -> dict[str, records.Record]:
    stored, problems = records.read_directory(out)
    assert problems == []
    return {item.record.expression: item.record for item in stored}


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run what must be refused and return its one line."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("ltbench: ") and captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("ltbench: ").strip()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--methods", "prototpe"], "unknown method 'prototpe'; did you mean 'prototype'?"),
    (["--dataset", "digit-lt"], "unknown dataset 'digit-lt'; did you mean 'digits-lt'?"),
    (["--dataset", "digits-lt@0.01"], "must be >= 1, got 0.01 (factor 0.01 is ratio 100)"),
    (["--dataset", "digits-lt@0\n"], "the imbalance ratio of 'digits-lt' must be >= 1, got 0"),
    (["--dataset", "digits-lt@500"], "got 500: class 7 would have no image"),
    (["--methods", "ldam+la"], "'ldam' and 'la' cannot stand in one stack: both own 'criterion'"),
    (["--methods", "ce/ncm/ldam+crt+ncm"], "cannot stand in one stack"),
    (["--methods", "la", "--set", "la.tua=1"], "unknown hyperparameter of 'la' 'tua'; did you mean 'tau'?"),
    (["--methods", "la", "--set", "la.tau=x"], "la.tau must be a finite number, got 'x'"),
    (["--methods", "la", "--set", "la.tau=-1"], "tau must be >= 0, got -1"),
    (["--methods", "la", "--set", "crt.x=1"], "unknown method of this run in --set 'crt'"),
    (["--epochs", "-1"], "--epochs must be > 0, got -1"),
    (["--lr", "nan"], "--lr must be > 0, got nan"),
    (["--weight-decay", "-1"], "--weight-decay must be >= 0, got -1"),
    (["--seeds", "a"], "--seeds must be whole numbers with commas, got 'a'"),
    (["--seeds", "-1"], "--seeds must be >= 0 and below 2^63, got '-1'"),
    (["--protocol", "comon"], "did you mean 'common'?"),
    (["--backbone", "resnet31"], "resnet31"),
    (["--methods", "ce", "--accumulate", "3"], "batch size must divide by processes x accumulation, got 32 over 1 x 3"),
    (["--seeds", "99999999999999999999"], "--seeds must be >= 0 and below 2^63"),
    (["--threads", "100000"], "--threads must be at most the"),
    (["--methods", ""], "--methods must not be empty"),
    (["--methods", "ce", "--batch-size", "100000"], "batch size must be at most the 94 images that an epoch draws, got 100000"),
    (["--methods", "ldam(scale=1,scale=2)"], "option 'scale' stands twice"),
    (["--methods", "ldam", "--set", "ldam.scale=1", "--set", "ldam.scale=2"], "--set ldam.scale stands twice"),
    (["--epochs", "1.5"], "argument --epochs: invalid int value: '1.5' (see ltbench run --help)"),
    (["--imbalance", "steps"], "argument --imbalance: invalid choice: 'steps'"),
    (["--epoch", "3"], "unrecognized arguments: --epoch 3"),
    (["--methods", "ce", "--dry-run", "--accumulate", "3"], "got 32 over 1 x 3"),
    (["--methods", "ce", "--seeds", "0", "--batch-size", "0"], "--batch-size must be > 0, got 0"),
    (["--stage1", "absent.pt"], "--stage1 must be a file, got absent.pt"),
    (["--track", "paper", "--methods", "ce"], "--track paper takes each paper's own settings; leave out --protocol"),
])
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(capsys, *SMOKE, *arguments)


def test_missing_data_says_how_to_get_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, *SMOKE, "--dataset", "cifar100-lt", "--data-root", str(tmp_path / "nowhere"), "--methods", "ce")
    assert "--download" in line and "LTBENCH_DATA" in line and "nowhere" in line


def test_damaged_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"not what it was")
    line = refusal(capsys, *SMOKE, "--dataset", "cifar100-lt", "--data-root", str(tmp_path / "data"), "--methods", "ce")
    assert "cifar-100-python" in line and any(name in line for name in ("train", "test", "meta"))


def test_an_output_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    line = refusal(capsys, *SMOKE, "--methods", "ce", "--out", str(tmp_path / "file" / "runs"))
    assert "cannot be written" in line and not (tmp_path / "cache" / "stages").is_dir() or "file" in line


def test_a_run_leaves_a_record_and_is_not_run_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "--methods", "ce,ncm,ce+post_la"]) == 0
    first = found(tmp_path / "runs")
    assert set(first) == {"ce", "ce/ncm", "post_la"}
    assert len({record.stages[0].key for record in first.values()}) == 1  # one first stage for all
    assert "| ce/ncm" in capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert main([*SMOKE, "--methods", "ce,ncm,post_la"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == times


def test_a_record_that_was_edited_is_run_again_and_one_without_predictions_is_not(tmp_path: Path) -> None:
    assert main([*SMOKE, "--methods", "ce"]) == 0
    (path,) = (tmp_path / "runs").glob("*.json")
    true = records.read(path)
    edited = json.loads(path.read_text())
    edited["metrics"]["accuracy"]["all"] = 99.0
    path.write_text(json.dumps(edited))
    assert main([*SMOKE, "--methods", "ce"]) == 0
    assert records.equal(records.read(path), true) == []
    path.with_suffix(".npz").unlink()  # to save room
    assert main([*SMOKE, "--methods", "ce"]) == 0
    assert not path.with_suffix(".npz").exists()


def test_a_record_holds_accuracy_under_label_shift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "--methods", "ce", "--out", "out"]) == 0
    shifts = found(tmp_path / "out")["ce"].metrics.label_shift
    assert shifts.as_dict().keys() == {"built"} and len(shifts.built) == 10
    # Of ten images a class, place i keeps int(10 / 50^(i/9)): 10, 6, 4, 2, 1, 1 and then none.
    for name in ("forward50", "backward50"):
        assert (shifts.built[name].images, shifts.built[name].classes) == (24, 6)
    (path,) = (tmp_path / "out").glob("*.json")
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "verified: every figure follows from the 100 predictions"


def test_stages_that_change_predictions_alone_add_up_and_are_stepped_over(tmp_path: Path) -> None:
    chained, summed, beyond = "ce/post_la/post_la(tau=0.5)", "ce/post_la(tau=1.5)", "ce/post_la/lws"
    assert main([*SMOKE, "--methods", f"{chained},{summed},{beyond},lws,ce/crt/post_la"]) == 0
    runs = found(tmp_path / "runs")
    assert runs[chained].per_class == runs[summed].per_class
    assert runs[chained].metrics.test_loss == pytest.approx(runs[summed].metrics.test_loss, rel=1e-5)
    # What stands on such a stage stands on the one below, which was trained.
    assert runs[beyond].stages[1].key == runs[beyond].stages[0].key
    assert runs[beyond].metrics.as_dict().keys() == runs["ce/lws"].metrics.as_dict().keys()


def test_a_stage_with_nothing_to_train_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "--methods", "ce/ncm+la"]) == 2
    assert "nothing to train" in capsys.readouterr().err


def test_rerunning_without_the_store_gives_an_equal_record(tmp_path: Path) -> None:
    for name in ("a", "b"):
        places = ["--cache", str(tmp_path / name), "--out", str(tmp_path / f"out-{name}")]
        assert main([*SMOKE, "--methods", "drw/crt", *places]) == 0
    one, two = (found(tmp_path / f"out-{name}")["drw/crt"] for name in ("a", "b"))
    assert records.equal(one, two) == []


def test_one_failing_run_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    from ltbench_ncm.ncm import NearestClassMean

    def broken(self: object, ctx: object) -> None:
        raise MemoryError

    monkeypatch.setattr(NearestClassMean, "fit", broken)
    assert main([*SMOKE, "--methods", "ncm,ce"]) == 1
    record = found(tmp_path / "runs")["ce/ncm"]
    assert record.status == "failed" and "--accumulate 2" in record.reason and record.metrics is None
    assert found(tmp_path / "runs")["ce"].status == "completed"
    assert "failed: [1/2] ce/ncm on digits-lt@20, seed 0: out of memory" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main([*SMOKE, "--methods", "ncm,ce"]) == 0  # what failed is run again
    assert found(tmp_path / "runs")["ce/ncm"].status == "completed"


def test_a_diverging_run_is_a_result(tmp_path: Path) -> None:
    assert main([*SMOKE, "--methods", "ce", "--lr", "1e30", "--backbone", "digits"]) == 0
    record = found(tmp_path / "runs")["ce"]
    assert record.status == "diverged" and "epoch 1 of stage 1" in record.reason
    assert record.protocol.name == "custom" and record.predictions is None


def test_a_diverged_curve_is_whole_in_every_record_of_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench.training.loop import Loop

    epoch = Loop._epoch

    def lost_at_the_second(self: Loop, number: int) -> dict[str, object]:
        return {**epoch(self, number), **({"loss": float("nan")} if number == 1 else {})}

    monkeypatch.setattr(Loop, "_epoch", lost_at_the_second)
    assert main([*SMOKE, "--methods", "ce,ncm"]) == 0
    runs = found(tmp_path / "runs")
    assert {record.status for record in runs.values()} == {"diverged"}
    assert runs["ce"].curve == runs["ce/ncm"].curve and [row.epoch for row in runs["ce"].curve] == [1]


def test_no_record_names_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from ltbench_ncm.ncm import NearestClassMean

    def broken(self: object, ctx: object) -> None:
        raise OSError(5, "Input/output error", "/srv/somebody/cache/stages/ab/x.safetensors")

    monkeypatch.setattr(NearestClassMean, "fit", broken)
    assert main([*SMOKE, "--methods", "ncm"]) == 1
    assert "/srv/somebody" in capsys.readouterr().err  # the user is told
    reason = found(tmp_path / "runs")["ce/ncm"].reason
    assert "x.safetensors" in reason and "somebody" not in reason
    assert str(tmp_path) not in next((tmp_path / "runs").glob("*.json")).read_text()


def test_near_ratios_have_records_of_their_own(tmp_path: Path) -> None:
    assert main([*SMOKE, "--methods", "ce", "--dataset", "digits-lt@20,digits-lt@20.0000001"]) == 0
    assert len(list((tmp_path / "runs").glob("*.json"))) == 2


@pytest.mark.parametrize("damage", ["engine", "meta", "list", "bank", "checkpoint"])
def test_what_is_damaged_in_the_store_is_made_again(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "--methods", "ncm", "--out", "sound"]) == 0
    for path in (tmp_path / "cache" / "stages").glob("*/*/*.*"):
        if path.name == "engine.safetensors" and damage in ("engine", "checkpoint"):
            path.write_bytes(path.read_bytes()[:-100])  # the header is whole
        if path.name == "meta.json" and damage in ("meta", "list"):
            path.write_text("{" if damage == "meta" else "[]")
        if path.name == "engine.safetensors" and damage == "checkpoint":
            path.rename(path.with_name("checkpoint.safetensors"))
            path.with_name("meta.json").unlink()
        if path.name.startswith("bank") and damage == "bank":
            path.write_bytes(b"x")
    assert main(["cache", "ls"]) == 0
    assert main([*SMOKE, "--methods", "ncm", "--out", "again"]) == 0
    sound, again = (found(tmp_path / name)["ce/ncm"] for name in ("sound", "again"))
    assert records.equal(sound, again) == []


def test_a_method_that_ends_the_program_ends_its_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench_ncm.ncm import NearestClassMean

    def leave(self: object, ctx: object) -> None:
        raise SystemExit(5)

    monkeypatch.setattr(NearestClassMean, "fit", leave)
    assert main([*SMOKE, "--methods", "ncm,ce"]) == 1
    runs = found(tmp_path / "runs")
    assert (runs["ce"].status, runs["ce/ncm"].status) == ("completed", "failed")


def test_a_cache_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert "cache folder" in refusal(capsys, *SMOKE, "--methods", "ce", "--cache", str(tmp_path / "file"))


def test_a_method_cannot_move_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench_ncm.ncm import NearestClassMean

    fit = NearestClassMean.fit

    def greedy(self: NearestClassMean, ctx: object) -> None:
        fit(self, ctx)  # type: ignore[arg-type]
        self.facts.class_counts.fill_(500)

    monkeypatch.setattr(NearestClassMean, "fit", greedy)
    assert main([*SMOKE, "--methods", "ncm,ce"]) == 0
    assert {max(record.split.class_counts) for record in found(tmp_path / "runs").values()} == {10}


def test_dry_run_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "--methods", "ce,ncm,crt", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "3 of 3 runs and 3 stages to do: 3 of them of unknown time (--estimate times a few steps); " in text
    assert list((tmp_path / "runs").glob("*.json")) == []
    assert main([*SMOKE, "--methods", "ce"]) == 0
    capsys.readouterr()
    assert main([*SMOKE, "--methods", "ce,ncm", "--dry-run"]) == 0
    text = capsys.readouterr().out
    # A step was measured when the first stage was trained.
    assert "1 of 2 runs and 1 stages to do: about 0 s; " in text and "stored" in text and "unknown" not in text
    assert main([*SMOKE, "--methods", "ce+mixup", "--estimate", "--cache", str(tmp_path / "another")]) == 0
    assert "1 of 1 runs and 1 stages to do: about 0 s; " in capsys.readouterr().out  # timed now


def test_a_users_own_first_stage_is_marked_external(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMOKE, "--methods", "ce", "--out", "own"]) == 0
    engine = next((tmp_path / "cache" / "stages").glob("*/*/engine.safetensors"))
    assert main([*SMOKE, "--methods", "ce,ncm", "--stage1", str(engine), "--out", "external"]) == 0
    own, external = found(tmp_path / "own")["ce"], found(tmp_path / "external")["ce"]
    assert external.external is not None and own.external is None
    assert external.metrics == own.metrics  # the same weights
    assert external.stages[0].key != own.stages[0].key
    capsys.readouterr()
    (tmp_path / "other.safetensors").write_bytes(b"x")
    assert "cannot be read" in refusal(capsys, *SMOKE, "--methods", "ncm", "--stage1", "other.safetensors", "--out", "bad")


def test_a_board_says_what_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "board.toml").write_text('title = "Digits"\ntolerance = 2.0\n[[matrix]]\ndatasets = ["digits-lt@10"]\n'
                                         'methods = ["ce", "ce/ncm(distance=cosine)"]\nseeds = [0]\nprotocol = "smoke"\n'
                                         '[[matrix]]\ndatasets = ["digits-lt@10"]\nmethods = ["la"]\nseeds = [1]\n'
                                         'protocol = "smoke"\n', encoding="utf-8")
    run = ["run", "--cpu", "--board", str(tmp_path), "--cache", str(tmp_path / "cache")]
    assert main(run) == 0
    stored, problems = records.read_directory(tmp_path / "results")
    made = sorted((item.record.expression, item.record.task.seed) for item in stored)
    assert problems == [] and made == [("ce", 0), ("ce/ncm(distance=cosine)", 0), ("la", 1)]
    capsys.readouterr()
    assert main(run) == 0
    assert "[1/" not in capsys.readouterr().err  # what has a record is not run again
    for option in (["--methods", "ce"], ["--seeds", "5"], ["--out", "elsewhere"], ["--protocol", "quick"]):
        assert main([*run, *option]) == 2
        assert capsys.readouterr().err == f"ltbench: --board says what is run: leave out {option[0]}\n"
