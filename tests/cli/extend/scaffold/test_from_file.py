"""A distribution around a file that is there."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.testing.offered import check_offered, find_offered

LOSS = '''"""Two methods of one file."""
import math

import numpy as np
import torch
import yaml

import ltbench


class Smoothed(ltbench.Method):
    """Spread "part" of each target over all classes.

    Args:
        part: How much.
    """

    name = "{name}"
    stages = frozenset({{1, 2}})
    reference = "A and B, 2020"

    def __init__(self, facts: ltbench.Facts, *, part: ltbench.Fraction = 0.1) -> None:
        super().__init__(facts)
        self.part = part

    def criterion(self, logits, labels):
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self.part)
'''
SECOND = '''

class Paired(ltbench.Method):
    """Draw the features of one part of a batch together."""

    name = "{name}_paired"
    stages = frozenset({{1}})
    per_part = True

    def extra_losses(self, ctx, step):
        features = ctx.gather(step.output.features)
        return {{"paired": (features - features.mean(dim=0)).square().mean()}}
'''


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Return what writes a file of a name, which no later test imports instead of its own."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def written(name: str, text: str) -> Path:
        (tmp_path / f"{name}.py").write_text(text.format(name=name), encoding="utf-8")
        return tmp_path / f"{name}.py"

    yield written
    for name in [name for name in sys.modules if name.startswith(("own_", "plugin", "ltbench_own_"))]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_the_file_is_taken_as_it_is_and_what_it_offers_is_described(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    file = write("own_pair", LOSS + SECOND)
    assert main(["plugin", "new", "--from", str(file), "--out", str(tmp_path)]) == 0
    folder = tmp_path / "ltbench-own-pair"  # of several methods none gives the name
    assert (folder / "ltbench_own_pair" / "own_pair.py").read_bytes() == file.read_bytes()
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["dependencies"][1:] == ["torch>=2.11", "PyYAML", "numpy"]
    found = find_offered([str(folder)])
    assert [one.name for one in found] == ["own_pair", "own_pair_paired"]
    wrong = [str(result) for checked in check_offered(found, {"spec", "refusals", "trains", "accumulation"})
             for result in checked.results if not result.ok]
    assert wrong == []
    plugin = importlib.import_module("ltbench_own_pair.plugin")
    first, second = plugin.ltbench_methods()
    assert (first.summary, first.paper) == ('Spread "part" of each target over all classes', "A and B, 2020")
    assert (first.per_part, second.per_part, second.stages) == (False, True, {1})
    test = (folder / "tests" / "test_own_pair.py").read_text()
    assert test.count("(MethodConformance):") == 2 and 'method = "own_pair_paired"' in test


def test_one_method_gives_its_name_and_the_user_another(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    file = write("own_single", LOSS.replace("{name}", "of_its_own"))
    assert main(["plugin", "new", "--from", str(file), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "ltbench-of-its-own" / "ltbench_of_its_own" / "own_single.py").is_file()
    assert main(["plugin", "new", "renamed", "--from", str(file), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "ltbench-renamed" / "ltbench_renamed" / "own_single.py").is_file()


HOOKS = '''import ltbench


@ltbench.hookimpl
def ltbench_methods():
    return []
'''


@pytest.mark.parametrize(("name", "text", "message"), [
    ("own_hooks", HOOKS, "--from must be a file with methods and without hooks, got"),
    ("own_beside", "import own_helper\n" + LOSS, "--from must be a file that imports nothing beside it, got 'own_helper' in"),
    ("own_nothing", "x = 1\n", "must hold a class derived from ltbench.Method with a name and stages, or a hook; got neither"),
    ("own_syntax", "x = (\n", "line 1: '(' was never closed"),
    ("plugin", LOSS, "--from must be a file of another name than the module with the hooks, got 'plugin.py'"),
    ("own_taken", LOSS.replace("{name}", "ldam"), "NAME must be a new one, got 'ldam': ltbench offers a method of that name"),
])
def test_what_cannot_become_a_package_is_one_line(name: str, text: str, message: str, write: Callable[[str, str], Path],
                                                  tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("own_helper", "")
    assert main(["plugin", "new", "--from", str(write(name, text)), "--out", str(tmp_path / "made")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ltbench: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_a_name_or_a_file_is_needed_and_a_kind_goes_with_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new"]) == 2
    assert capsys.readouterr().err == "ltbench: NAME must be given, or a file of your own with --from\n"
    assert main(["plugin", "new", "--from", str(tmp_path / "no.py")]) == 2
    assert capsys.readouterr().err.startswith("ltbench: --from must be a Python file that exists, got")
    assert main(["plugin", "new", "x", "--kind", "loss", "--from", "x.py"]) == 2
    assert capsys.readouterr().err.startswith("ltbench: argument --from: not allowed with argument --kind")
