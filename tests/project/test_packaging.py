from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import ltbench

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRY_POINTS = PROJECT["entry-points"]["ltbench"]
PLUGIN_FOLDERS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


def test_the_version_stands_in_both_places() -> None:
    assert PROJECT["version"] == ltbench.__version__


def test_every_plugin_folder_is_an_entry_point_and_the_reverse() -> None:
    roots = {module.partition(".")[0] for module in ENTRY_POINTS.values()} - {"ltbench"}
    assert sorted(roots) == PLUGIN_FOLDERS
    for module in ENTRY_POINTS.values():
        path = Path(*module.split(".")).with_suffix(".py")
        assert (ROOT / path).is_file() or (ROOT / "plugins" / path).is_file(), module


def imported_packages(folders: list[str]) -> set[str]:
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"ltbench", *PLUGIN_FOLDERS}


def test_what_is_imported_is_declared() -> None:
    # Imported where it is there, or asked for by one verb alone.
    optional = [line for name, lines in PROJECT["optional-dependencies"].items() if name != "test" for line in lines]
    declared = {re.split(r"[^\w-]", line)[0] for line in (*PROJECT["dependencies"], *optional)}
    modules = {"scikit-learn": "sklearn", "pillow": "PIL", "open_clip_torch": "open_clip"}
    assert imported_packages(["ltbench", "plugins"]) <= {modules.get(name, name) for name in declared}


def test_installed_versions_meet_the_declared_bounds() -> None:
    for line in PROJECT["dependencies"]:
        name, bound = line.split(">=")
        installed = importlib.metadata.version(name)
        numbers = [[int(part) for part in re.match(r"[\d.]+", text)[0].strip(".").split(".")] for text in (installed, bound)]
        assert numbers[0] >= numbers[1], f"{name} {installed}"


def test_no_file_names_a_path_of_one_machine() -> None:
    folders = ["ltbench", "plugins", "tests", "tools", "examples", "leaderboards"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"} or path.name == "Makefile"]
    files = [path for path in files if "__pycache__" not in path.parts]
    assert len(files) > 30
    # Spelled in parts, so that this file passes its own test.
    places = re.compile("|".join(["/" + "work/", r"\.\./" + "shared", "/" + "root/", "/" + "home/", "/" + "Users/"]))
    for path in files:
        if path.suffix in {".py", ".md", ".toml", ".json", ".csv", ".html", ".typed", ""}:
            found = places.search(path.read_text())
            assert not found, f"{path.relative_to(ROOT)} names {found[0]}"


def build(form: str, tree: Path, out: Path) -> Path:
    """Build a wheel or an sdist of a tree with what is installed here, and return its file."""
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{form}", "--outdir", str(out), str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it as a packager does, from what the sdist holds and nothing else."""
    tree = tmp_path_factory.mktemp("tree")
    with tarfile.open(sdist) as archive:
        archive.extractall(tree, filter="data")
    (unpacked,) = tree.iterdir()
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_the_sdist_holds_what_a_packager_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Containerfile", "Makefile",
                 "mkdocs.yml", "docs/quick-start.md", "examples/digits.ipynb", "tools/reference.py",
                 "tests/project/test_packaging.py",
                 "leaderboards/digits-lt/board.toml", "ltbench/py.typed", "plugins/ltbench_baselines/plugin.py"):
        assert name in names, name
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", "runs", "build", "dist"))]


@pytest.mark.slow
def test_the_wheel_holds_every_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"ltbench-{PROJECT['version']}.dist-info/METADATA").decode()
    expected = {str(path.relative_to(ROOT)) for path in (ROOT / "ltbench").rglob("*.py")}
    expected |= {str(path.relative_to(ROOT / "plugins")) for path in (ROOT / "plugins").rglob("*.py")}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "ltbench" / "leaderboard" / "page").rglob("*")
                 if path.suffix in {".js", ".css", ".jinja", ".md"}}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "ltbench" / "cli" / "extend" / "scaffold").rglob("*.jinja")}
    assert expected <= names and "ltbench/py.typed" in names
    boards = ROOT / "leaderboards"
    assert {name.removeprefix("ltbench/boards/") for name in names if name.startswith("ltbench/boards/")} == {
        path.relative_to(boards).as_posix() for path in boards.glob("*/results/*") if path.suffix in {".json", ".npz"}}
    assert {name.partition("/")[0] for name in names} == {"ltbench", *PLUGIN_FOLDERS, f"ltbench-{PROJECT['version']}.dist-info"}
    assert "Requires-Python: >=3.11" in metadata


@pytest.mark.slow
def test_what_is_installed_lists_its_methods_and_runs(wheel: Path, tmp_path: Path) -> None:
    """Install into a new environment, which sees torch and the rest through a path file, and run the program there."""
    venv.create(tmp_path / "env", with_pip=False)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}))
    # Only the libraries are lent: this environment's own ltbench must not be what answers.
    lent = tmp_path / "lent"
    lent.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "ltbench" not in entry.name.lower() and entry.suffix != ".pth":
            (lent / entry.name).symlink_to(entry)
    (site / "lent.pth").write_text(f"{lent}\n")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--no-deps", "--no-index",
                    "--disable-pip-version-check", str(wheel)], check=True, capture_output=True)

    def installed(*arguments: str) -> str:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"LTBENCH_STRICT": "1"}
        command = [str(scripts / "ltbench"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plugins = json.loads(installed("plugins", "--json"))
    assert {plugin["name"] for plugin in plugins} == set(ENTRY_POINTS)
    assert {plugin["state"] for plugin in plugins} == {"ok"}
    methods = {row["name"]: row for row in json.loads(installed("methods", "--json"))}
    assert {"ce", "ldam", "drw", "la", "ncm", "crt", "tau_norm", "prototype"} <= set(methods)
    assert {row["distribution"] for row in methods.values()} == {"ltbench"}
    held = {row["name"]: row for row in json.loads(installed("baselines", "list", "--json"))}
    assert held["digits-lt@20"]["records"] == len(list((ROOT / "leaderboards" / "digits-lt" / "results").glob("*.json")))
    assert " 0 refused, " in installed("baselines", "pull", "digits-lt@20")
    assert "| ce " in installed("leaderboard", "runs")
    table = installed("run", "--methods", "ce", "--protocol", "smoke", "--seeds", "0", "--cpu", "--out", "own")
    assert "| ce " in table and len(list((tmp_path / "own").glob("*.json"))) == 1
    command = [str(scripts / "python"), "-I", "-c", "import ltbench; print(ltbench.__file__)"]
    where = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()).is_relative_to(tmp_path)
