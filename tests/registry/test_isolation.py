"""Other people's broken distributions, as the program meets them: tiny installed ones on a path of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
import ltbench

@ltbench.hookimpl
def ltbench_methods():
    return [ltbench.MethodSpec({name!r}, "nowhere:Nothing", "a stranger's method", frozenset({{1}}))]
"""
MISSPELT = """
import ltbench

@ltbench.hookimpl
def ltbench_metods():
    return []
"""


def distribution(site: Path, name: str, source: str, *, entry: str | None = None) -> None:
    """Install a distribution of one module, as an installer leaves it behind."""
    module = name.replace("-", "_")
    (site / f"{module}.py").write_text(source)
    info = site / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[ltbench]\n{entry or module} = {module}\n")


def ltbench(site: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *(entry for entry in sys.path if entry)])
    return subprocess.run([sys.executable, "-m", "ltbench.cli.main", *arguments], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path, **environment})


def plugins(site: Path, *arguments: str, **environment: str) -> dict[str, dict[str, object]]:
    done = ltbench(site, "plugins", "--json", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return {row["distribution"] if row["distribution"] != "ltbench" else row["name"]: row for row in json.loads(done.stdout)}


def methods(site: Path, *arguments: str, **environment: str) -> tuple[set[str], str]:
    done = ltbench(site, "methods", "--json", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return {row["name"] for row in json.loads(done.stdout)}, done.stderr


def test_a_broken_import_is_listed_and_the_others_work(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-broken", "import no_such_library_at_all")
    distribution(tmp_path, "lt-good", GOOD.format(name="stranger"))
    listed = plugins(tmp_path)
    assert listed["lt-broken"]["state"] == "ModuleNotFoundError: No module named 'no_such_library_at_all'"
    assert listed["lt-good"]["state"] == "ok" and listed["lt-good"]["offers"] == {"method": ["stranger"]}
    assert listed["baselines"]["state"] == "ok"
    names, warnings = methods(tmp_path)
    assert {"ce", "stranger"} <= names
    assert warnings.splitlines() == ["warning: plugin 'lt_broken' of lt-broken: ModuleNotFoundError: No module named "
                                     "'no_such_library_at_all'"]


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "def broken(:", "1 / 0"])
def test_whatever_an_import_does_the_program_goes_on(tmp_path: Path, source: str) -> None:
    distribution(tmp_path, "lt-broken", source)
    listed = plugins(tmp_path)
    assert listed["lt-broken"]["state"] not in ("ok", "disabled") and listed["baselines"]["state"] == "ok"


@pytest.mark.slow
def test_two_distributions_with_one_method_name_are_both_named(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-one", GOOD.format(name="wanted_by_two"))
    distribution(tmp_path, "lt-two", GOOD.format(name="wanted_by_two"))
    names, _ = methods(tmp_path)
    assert "wanted_by_two" not in names and "ce" in names
    done = ltbench(tmp_path, "run", "--methods", "wanted_by_two", "--dry-run")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "lt-one" in done.stderr and "lt-two" in done.stderr
    names, _ = methods(tmp_path, "--no-plugin", "lt-two")
    assert "wanted_by_two" in names


@pytest.mark.slow
def test_a_distribution_cannot_take_a_built_in_name(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-thief", GOOD.format(name="ce"))
    done = ltbench(tmp_path, "run", "--methods", "ce", "--dry-run")
    assert done.returncode == 2 and "lt-thief" in done.stderr and "offered by both" in done.stderr


def test_two_distributions_with_one_entry_point_name_are_both_loaded(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-one", GOOD.format(name="first_of_two"), entry="same")
    distribution(tmp_path, "lt-two", GOOD.format(name="second_of_two"), entry="same")
    names, warnings = methods(tmp_path)
    assert {"first_of_two", "second_of_two"} <= names and not warnings


def test_a_misspelt_hook_is_caught(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-misspelt", MISSPELT)
    state = plugins(tmp_path)["lt-misspelt"]["state"]
    assert "unknown hook 'ltbench_metods'" in str(state)


def test_a_plugin_can_be_left_out(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-broken", "import no_such_library_at_all")
    assert plugins(tmp_path, "--no-plugin", "lt-broken")["lt-broken"]["state"] == "disabled"
    assert plugins(tmp_path, LTBENCH_DISABLE_PLUGINS="lt_broken, baselines")["baselines"]["state"] == "disabled"
    _, warnings = methods(tmp_path, LTBENCH_DISABLE_PLUGINS="lt-broken")
    assert not warnings
    done = ltbench(tmp_path, "plugins", "--no-plugin", "lt-brokn")
    assert done.returncode == 2 and "did you mean 'lt-broken'" in done.stderr


def test_strict_mode_refuses_a_broken_plugin_in_one_line(tmp_path: Path) -> None:
    distribution(tmp_path, "lt-broken", "import no_such_library_at_all")
    done = ltbench(tmp_path, "methods", LTBENCH_STRICT="1")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == ("ltbench: strict mode: plugin 'lt_broken' of lt-broken: ModuleNotFoundError: No module named "
                           "'no_such_library_at_all'\n")
    assert ltbench(tmp_path, "methods", "--no-plugin", "lt-broken", LTBENCH_STRICT="1").returncode == 0
