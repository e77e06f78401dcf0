from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltbench.cli import main as program
from ltbench.errors import UserError
from ltbench.method.from_file import add_file
from ltbench.registry.discovery import Registry, load_registry
from ltbench.registry.sources import source_hashes
from ltbench.testing import check_two_processes

METHOD = '''"""A loss of our own."""

from torch import Tensor

import ltbench
from {stem}_beside import FACTOR


class Base(ltbench.Method):
    """Be no method yet: it has no name."""


class Halved(Base):
    """Halve the loss.

    More of it.
    """

    name = "halved_{stem}"
    stages = frozenset({{1, 2}})
    reference = "Half et al., 1950"

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super().criterion(logits, labels) * FACTOR
'''
HOOKS = '''"""Hooks of our own."""
import ltbench


@ltbench.hookimpl
def ltbench_metrics():
    return [ltbench.MetricSpec("hooked_figure", "{stem}:figure", "a figure")]


@ltbench.hookimpl
def ltbench_commands(commands):
    commands.add_parser("greet").set_defaults(run=lambda args: print("hello") or 0)


def figure(geometry):
    """Return nothing."""
    return {{}}
'''


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.fixture
def method_file(tmp_path: Path) -> Path:
    file = tmp_path / "own_halved.py"
    file.write_text(METHOD.format(stem="own_halved"))
    (tmp_path / "own_halved_beside.py").write_text("FACTOR = 0.5\n")
    return file


def test_a_class_is_described_without_a_hook(method_file: Path) -> None:
    registry = load_registry(strict=False)
    add_file(registry, method_file)
    entry = registry.methods.get("halved_own_halved")
    assert (entry.spec.summary, entry.spec.stages, entry.spec.paper) == ("Halve the loss", {1, 2}, "Half et al., 1950")
    digest = hashlib.sha256(method_file.read_bytes()).hexdigest()
    assert (entry.distribution, entry.version) == ("file:own_halved.py", digest[:12])
    assert registry.files == [method_file]


def test_sources_are_the_file_and_what_it_imports_from_beside_it(method_file: Path) -> None:
    registry = load_registry(strict=False)
    add_file(registry, method_file)
    hashes = source_hashes(registry.methods.get("halved_own_halved").load())
    assert hashes == {name: hashlib.sha256((method_file.parent / name).read_bytes()).hexdigest()
                      for name in ("own_halved.py", "own_halved_beside.py")}


def test_it_runs_beside_the_others_and_its_record_names_no_folder(method_file: Path, tmp_path: Path,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert program.main(["run", "--plugin", str(method_file), "--methods", "halved_own_halved,halved_own_halved+drw", "--cpu",
                         "--protocol", "smoke", "--seeds", "0", *places]) == 0
    texts = [path.read_text() for path in (tmp_path / "runs").glob("*.json")]
    assert len(texts) == 2 and all(str(tmp_path) not in text for text in texts)
    (record,) = [json.loads(text) for text in texts if "drw" not in text]
    (method,) = record["stages"][0]["methods"]
    assert method["distribution"] == "file:own_halved.py" and set(method["sources"]) == {"own_halved.py", "own_halved_beside.py"}
    assert "halved_own_halved" in capsys.readouterr().out
    path = next(path for path in (tmp_path / "runs").glob("*.json") if "drw" not in path.read_text())
    assert program.main(["reproduce", str(path), "--dry-run", "--plugin", str(method_file)]) == 0
    assert capsys.readouterr().out == ("ltbench run --methods halved_own_halved --dataset digits-lt@20 --seeds 0 "
                                       "--protocol smoke --plugin own_halved.py\n")
    assert program.main(["reproduce", str(path), "--dry-run"]) == 2
    assert "cannot be run again (it was made with --plugin own_halved.py): unknown method" in capsys.readouterr().err


@pytest.mark.slow
def test_it_is_found_in_other_processes(method_file: Path) -> None:
    (result,) = check_two_processes(["halved_own_halved"], plugins=(str(method_file),)).values()
    assert result.ok, str(result)


def test_hooks_of_a_file_are_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own_hooks.py"
    file.write_text(HOOKS.format(stem="own_hooks"))
    assert program.main(["greet", "--plugin", str(file)]) == 0 and capsys.readouterr().out == "hello\n"
    assert program.main(["plugins", "--json", "--plugin", str(file)]) == 0
    (row,) = [row for row in json.loads(capsys.readouterr().out) if row["name"] == "own_hooks"]
    assert row["offers"] == {"metric": ["hooked_figure"]} and row["state"] == "ok"


CLASH = 'import ltbench\nclass A(ltbench.Method):\n    """A."""\n    name = "ldam"\n    stages = {1}\n'
REFUSED = [
    ("own_bad.py", "def f(:\n", "own_bad.py: line 1: invalid syntax"),
    ("own_empty.py", "x = 1\n", "own_empty.py: must hold a class derived from ltbench.Method with a name and stages, or a hook; "
                                "got neither"),
    ("own_stageless.py", CLASH.replace("stages", "stage"), "or a hook; got A without stages"),
    ("own_bare.py", "import ltbench\nclass A(ltbench.Method):\n    pass\n", "or a hook; got A without name and stages"),
    ("own_import.py", "import no_such_module\n", "own_import.py: ModuleNotFoundError: No module named 'no_such_module'"),
    ("own_exit.py", "raise SystemExit(3)\n", "own_exit.py: SystemExit: 3"),
    ("own_clash.py", CLASH, "own_clash.py: method 'ldam' is offered by both ltbench (baselines) and file:own_clash.py "
                            "(own_clash); leave one out with --no-plugin"),
    ("own_stages.py", CLASH.replace("{1}", "{3}"), "own_stages.py: MethodSpec.stages must be a part of {1, 2}, got {3}"),
    ("own-dash.py", "", "must be a file whose name Python can import, got 'own-dash.py'"),
    ("class.py", "", "must be a file whose name Python can import, got 'class.py'"),
    ("torch.py", "", "must be a file whose name no other module has, got 'torch.py'"),
    ("own_text.txt", "", "must be a Python file that exists, got 'PATH'"),
]


@pytest.mark.parametrize(("name", "text", "message"), REFUSED)
def test_what_cannot_be_used_is_one_line(name: str, text: str, message: str, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert program.main(["methods", "--plugin", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ltbench: --plugin ") and error.endswith(message.replace("PATH", str(file)) + "\n")
    assert error.count("\n") == 1


def test_a_file_of_a_package_and_a_file_twice_are_refused(method_file: Path) -> None:
    registry = load_registry(strict=False)
    add_file(registry, method_file)
    with pytest.raises(UserError, match="stands twice"):
        add_file(registry, method_file)
    (method_file.parent / "__init__.py").write_text("")
    with pytest.raises(UserError, match="must be a file outside any package"):
        add_file(Registry(), method_file)
