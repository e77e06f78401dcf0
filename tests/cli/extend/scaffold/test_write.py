"""What is generated must read as our own code does, and say what its classes say."""

from __future__ import annotations

import functools
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import ltbench
from ltbench.cli.extend.scaffold.kinds import KINDS
from ltbench.cli.extend.scaffold.naming import Names, choose_names
from ltbench.cli.extend.scaffold.write import render, requirement, write_plugin
from ltbench.errors import UserError
from ltbench.registry.discovery import Registry
from ltbench.testing.offered import check_offered, find_offered

ROOT = Path(__file__).resolve().parents[4]


@functools.cache
def names_of(kind: str) -> Names:
    return choose_names(f"made_{kind.replace('-', '_')}", KINDS[kind], Registry())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make one plugin of every kind."""
    place = tmp_path_factory.mktemp("made")
    folders = {kind: place / names_of(kind).distribution for kind in KINDS}
    for kind, folder in folders.items():
        write_plugin(folder, kind, KINDS[kind], names_of(kind), "ce")
    return folders


def test_ruff_finds_nothing_with_our_settings(made: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    for folder in made.values():
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_mypy_finds_nothing_with_our_settings(made: dict[str, Path]) -> None:
    packages = [str(folder / names_of(kind).package) for kind, folder in made.items()]
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", *packages], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_specs_say_what_their_classes_say(made: dict[str, Path]) -> None:
    found = find_offered([str(folder) for folder in made.values()])
    assert [one.name for one in found] == [names_of(kind).registered for kind in KINDS]
    wrong = [str(result) for checked in check_offered(found, {"spec", "refusals", "protocols"}) for result in checked.results
             if not result.ok]
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_is_complete(kind: str, made: dict[str, Path]) -> None:
    folder, names = made[kind], names_of(kind)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    code = ("__init__.py", "plugin.py", "py.typed", f"{names.name}.py")
    assert files == {".github/workflows/tests.yml", ".gitignore", "README.md", "pyproject.toml", "requirements.txt",
                     f"tests/test_{names.name}.py", *(f"{names.package}/{file}" for file in code)}
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == names.distribution
    assert project["entry-points"]["ltbench"] == {names.name: f"{names.package}.plugin"}
    steps = yaml.safe_load((folder / ".github" / "workflows" / "tests.yml").read_text())["jobs"]["tests"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs == ["pip install -r requirements.txt", "pip install .[test]", "pytest"]
    readme = (folder / "README.md").read_text()
    assert ("ltbench show runs/*.json" in readme) == (kind == "metric") != ("ltbench leaderboard runs" in readme)
    assert (folder / "requirements.txt").read_text().splitlines()[-1] == f"ltbench>={ltbench.__version__}"
    assert max(len(path.read_text().splitlines()) for path in folder.rglob("*.py")) < 120


def test_every_template_is_of_a_kind() -> None:
    templates = ROOT / "ltbench" / "cli" / "extend" / "scaffold" / "templates"
    assert {path.name for path in templates.iterdir()} == {*KINDS, "common", "from_file"}
    used = {path for kind in KINDS for path in (templates / kind).iterdir()}
    assert {path.name for path in used} == {"module.py.jinja", "test.py.jinja"}


def test_where_ltbench_comes_from() -> None:
    assert requirement(None) == f"ltbench>={ltbench.__version__}"
    assert requirement('{"dir_info": {"editable": true}, "url": "file:///somewhere"}') == f"ltbench>={ltbench.__version__}"
    noted = '{"url": "https://example.org/ltbench.git", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}}'
    assert requirement(noted) == "ltbench @ git+https://example.org/ltbench.git@0a1b"


def test_an_existing_folder_is_left_alone(made: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the folder to make must not be there"):
        write_plugin(made["loss"], "loss", KINDS["loss"], names_of("loss"), "ce")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made: Not a directory"):
        write_plugin(tmp_path / "file" / "inside", "loss", KINDS["loss"], names_of("loss"), "ce")


@pytest.mark.parametrize(("kind", "name", "made"), [
    ("loss", "f", "F"), ("loss", "tensor", "Tensor"), ("experts", "annotated", "Annotated"), ("dataset", "path", "Path"),
    ("metric", "torch", "torch"), ("metric", "float", "float"), ("loss", "value_error", "ValueError"),
])
def test_a_name_that_the_files_use_otherwise_is_refused(kind: str, name: str, made: str, tmp_path: Path) -> None:
    names = choose_names(name, KINDS[kind], Registry())
    with pytest.raises(UserError, match=f"NAME must be one that its files have no other use for, got one that makes '{made}'"):
        write_plugin(tmp_path / "made", kind, KINDS[kind], names, "ce")
    assert not (tmp_path / "made").exists()


def test_the_longest_name_still_fits_the_line() -> None:
    for kind, what in KINDS.items():
        names = choose_names("a" * 30, what, Registry())
        for path, text in render(kind, what, names, "ce").items():
            assert path.suffix != ".py" or max(map(len, text.splitlines()), default=0) <= 130, (kind, path)

