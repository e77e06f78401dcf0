"""The set-up behind `make board` and `make test`: tools/environment.py."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "environment.py"


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment_tool", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the library folder of a new environment that holds pip and nothing else."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    folder = Path(sysconfig.get_path("purelib", "venv", {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}))
    pip = importlib.util.find_spec("pip")
    assert pip and pip.submodule_search_locations
    (folder / "pip").symlink_to(pip.submodule_search_locations[0])
    return folder


def put(site: Path, name: str, version: str, *requirements: str, url: str = "") -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requirements]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    if url:
        (folder / "direct_url.json").write_text(json.dumps({"url": url}))


def test_what_does_not_fit_is_named(tool: ModuleType, site: Path, tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    assert tool.usable(python) and not tool.usable(tmp_path / "nowhere" / "python")
    assert tool.problems(python, []) == ["ltbench is missing"]
    here = tool.ROOT.as_uri()
    put(site, "ltbench", "0.1.0", "old>=2", "deep", "checker; extra == 'test'", "other; sys_platform == 'nowhere'", url=here)
    put(site, "old", "1.5")
    put(site, "deep", "1.0", "deeper")
    expected = {"ltbench needs old>=2, but 1.5 is installed", "deeper is missing, which deep needs"}
    assert set(tool.problems(python, [])) == expected
    assert set(tool.problems(python, ["test"])) == expected | {"checker is missing, which ltbench needs"}


def test_another_checkout_is_noticed(tool: ModuleType, site: Path, tmp_path: Path) -> None:
    put(site, "ltbench", "0.1.0", url=tmp_path.as_uri())
    assert tool.problems(tmp_path / "env" / "bin" / "python", []) == ["ltbench is installed from another folder"]


def test_pip_runs_only_when_something_changed(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installs: list[str] = []

    def install(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        installs.append(command[-1].removeprefix(str(tool.ROOT)))
        return subprocess.CompletedProcess(command, 0)

    broken: list[str] = []
    monkeypatch.setattr(tool, "usable", lambda python: True)
    monkeypatch.setattr(tool, "problems", lambda python, extras: list(broken))
    monkeypatch.setattr(tool.subprocess, "run", install)
    tool.prepare(tmp_path, [])
    tool.prepare(tmp_path, [])
    assert installs == [""]
    tool.prepare(tmp_path, ["test"])
    tool.prepare(tmp_path, ["test"])
    tool.prepare(tmp_path, [])  # what the tests need includes what a run needs
    assert installs == ["", "[test]"]
    monkeypatch.setattr(tool, "fingerprint", lambda extras: "another pyproject.toml")
    tool.prepare(tmp_path, [])
    assert installs == ["", "[test]", ""]
    broken.append("torch is missing")
    with pytest.raises(SystemExit, match="could not be completed\n  torch is missing"):
        tool.prepare(tmp_path, [])
    assert not (tmp_path / "ltbench-stamp.json").exists()  # so that the next call tries again


def test_an_old_python_is_refused(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"Python must be 3\.11 or later, got .*; try make PYTHON="):
        tool.main()
