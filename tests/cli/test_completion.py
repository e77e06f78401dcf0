"""A shell completes commands, options and names, and nothing heavy is loaded for that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ltbench.cli.completion import SHELLS
from ltbench.cli.main import main

ASK = """
import sys
from ltbench.cli.main import main
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


def completed(line: str, folder: Path) -> list[str]:
    """Return what the shell is offered at the end of a line."""
    out = folder / "offered"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
             "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "_ARGCOMPLETE_IFS": "\n"}
    done = subprocess.run([sys.executable, "-c", "import os; os._exit = exit = __import__('sys').exit\n" + ASK], cwd=folder,
                          env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stderr.strip().endswith("False"), done.stderr  # torch was not imported
    return out.read_text().split()


@pytest.mark.parametrize(("line", "expected"), [
    ("ltbench complet", {"completion"}),
    ("ltbench run --back", {"--backbone"}),
    ("ltbench run --methods ce,ld", {"ce,ldam"}),
    ("ltbench run --methods ce/balanced_softmax+mixu", {"ce/balanced_softmax+mixup"}),
    ("ltbench run --dataset digits-lt,inat", {"digits-lt,inat18"}),
    ("ltbench run --backbone resnet20", {"resnet20", "resnet20x2", "resnet20x4"}),
    ("ltbench methods tau", {"tau_norm"}),
])
def test_names(line: str, expected: set[str], tmp_path: Path) -> None:
    assert set(completed(line, tmp_path)) == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "ltbench" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the shell is there it reads the script; everywhere the script is in its language, which bash's is not."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert ("#compdef ltbench" if shell == "zsh" else "complete --command ltbench") in script
    if shutil.which(shell) is not None:
        subprocess.run([shell, "--no-execute" if shell == "fish" else "-n"], input=script, text=True, check=True)


def test_bash_takes_the_script(tmp_path: Path) -> None:
    script = subprocess.run([sys.executable, "-m", "ltbench.cli.main", "completion", "bash"], capture_output=True, check=True)
    asked = f"{script.stdout.decode()}\ncomplete -p ltbench"
    done = subprocess.run(["bash", "--norc", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "_python_argcomplete" in done.stdout
