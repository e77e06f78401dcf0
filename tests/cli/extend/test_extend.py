from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltbench.cli.main import main

BROKEN = '''"""A loss of our own."""
import random

import ltbench


class Unseeded(ltbench.Method):
    """Draw from a generator that no seed reaches."""

    name = "drawn"
    stages = frozenset({1})

    def criterion(self, logits, labels):
        return super().criterion(logits, labels) * (1 + random.random())
'''
SPLIT = '''"""A figure."""
import ltbench


@ltbench.hookimpl
def ltbench_methods():
    return [ltbench.MethodSpec("lost", "no_such_module:Lost", "is not there", {1})]
'''


def test_new_and_check_as_a_stranger_types_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "typed_metric", "--kind", "metric", "--out", str(tmp_path)]) == 0
    folder = tmp_path / "ltbench-typed-metric"
    said = capsys.readouterr().out
    assert f"{folder}/pyproject.toml\n" in said and f"ltbench plugin check {folder} " in said
    assert main(["plugin", "new", "typed_metric", "--kind", "metric", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"ltbench: the folder to make must not be there, got {str(folder)!r}\n"
    assert main(["plugin", "check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "metric typed_metric (ltbench-typed-metric 0.1.0)" and lines[-1] == "4 checks: 4 ok, 0 failed, 0 skipped"
    assert lines[1].split()[:2] == ["ok", "spec"]


def test_a_failing_check_says_how_to_mend_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own_broken.py"
    file.write_text(BROKEN)
    arguments = ["plugin", "check", str(file), "--only", "spec,deterministic,devices"]
    assert main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("method drawn (file:own_broken.py ")
    (failed,) = [number for number, line in enumerate(lines) if line.startswith("  FAILED   deterministic  drawn, trained twice")]
    assert lines[failed + 1].strip().startswith("to mend it: draw random numbers from ctx.generator")
    assert main([*arguments, "--json"]) == 1
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["spec"]["state"] == "ok" and rows["deterministic"]["state"] == "failed" and rows["deterministic"]["mend"]
    assert {row["kind"] for row in rows.values()} == {"method"} and rows["spec"]["about"].startswith("Compare the spec")


def test_what_does_not_train_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own_lost.py"
    file.write_text(SPLIT)
    assert main(["plugin", "check", "lost", "--plugin", str(file), "--only", "trains,shapes,two_processes", "--json"]) == 1
    assert [(row["check"], row["state"]) for row in json.loads(capsys.readouterr().out)] == [
        ("trains", "failed"), ("shapes", "skipped"), ("two_processes", "skipped")]


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "nothing to check: no plugin is installed but those that come with ltbench"),
    (["ldma"], "unknown method, dataset, metric, plugin or distribution 'ldma'; did you mean 'ldam'?"),
    (["ldam", "--only", "speck"], "unknown check in --only 'speck'; did you mean 'spec'?"),
    (["no_such.py"], "--plugin must be a Python file that exists, got"),
])
def test_what_cannot_be_checked_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "check", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ltbench: {message}") and error.count("\n") == 1


def test_a_plugin_or_a_distribution_stands_for_all_that_it_offers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "check", "prototype", "nc", "analysis", "--only", "spec", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert names == ["prototype", "nc", "norms", "smallest_angles", "collapse"]  # a method's name comes before a plugin's


def test_a_plugin_that_is_left_out_is_unknown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LTBENCH_DISABLE_PLUGINS", "")  # so that what the command sets is undone
    assert main(["plugin", "check", "center_loss", "--only", "spec", "--no-plugin", "nc"]) == 2
    assert capsys.readouterr().err.startswith("ltbench: unknown method")


def test_a_folder_without_a_plugin_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    assert main(["plugin", "check", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (f"ltbench: {str(tmp_path / 'pyproject.toml')!r} must name a plugin under "
                                       "[project.entry-points.ltbench]\n")


def test_a_folder_without_a_project_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "check", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (f"ltbench: PATH must be a Python file or a folder with a pyproject.toml, got "
                                       f"{str(tmp_path)!r}\n")


def test_what_raises_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own_raising.py"
    file.write_text(BROKEN.replace("random.random())", "labels[:, 5])"))
    assert main(["plugin", "check", str(file), "--only", "trains"]) == 1
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("  FAILED   trains         IndexError: ") and line.endswith(" (own_raising.py, line 14)")


def test_a_name_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "ldam"]) == 2
    assert capsys.readouterr().err == "ltbench: NAME must be a new one, got 'ldam': ltbench offers a method of that name\n"
