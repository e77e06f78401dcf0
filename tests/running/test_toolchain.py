from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from ltbench.cli.main import main
from ltbench.running.toolchain import compiler_problem


def test_a_compiler_with_python_s_headers_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("CXX", f"{sys.executable} -pipe")  # any program; a command may hold options
    missing = tmp_path / "Python.h"
    assert compiler_problem() == f"Python's headers are missing ({missing}); install them (python3-dev, python3-devel)"
    (tmp_path / "Python.h").touch()
    assert compiler_problem() is None


@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_the_usual_compiler_of_the_system_is_looked_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin" if name == "clang++" else "linux")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler_problem() == f"there is no C++ compiler '{name}'; install one, or name one in CXX"


def test_without_a_compiler_compile_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main(["run", "--methods", "ce", "--compile", "--out", str(tmp_path / "runs")]) == 2
    expected = "--compile does not work here: there is no C++ compiler 'no-such-compiler'; install one, or name one in CXX"
    assert capsys.readouterr().err == f"ltbench: {expected}\n" and not (tmp_path / "runs").exists()
