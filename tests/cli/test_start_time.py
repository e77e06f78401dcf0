"""What is only listed must not be imported: torch alone takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["torch", "torchvision", "timm", "accelerate", "numpy", "scipy", "sklearn", "safetensors"]
PROBE = f"""
import sys
from ltbench.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
print("imported:", [name for name in {HEAVY} if name in sys.modules], status)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["methods"], ["datasets"], ["plugins"], ["methods", "--json"],
                                       ["run", "--help"], ["run", "--methods"], ["data", "--help"],
                                       ["data", "check", "--help"], ["plugin", "--help"], ["plugin", "check", "--help"],
                                       ["plugin", "new", "--help"]])
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    expected = 2 if arguments == ["run", "--methods"] else 0
    assert done.stdout.splitlines()[-1] == f"imported: [] {expected}"


@pytest.mark.slow
def test_the_probe_sees_what_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, "methods", "ce"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("imported: ['torch'")


@pytest.mark.slow
def test_a_small_run_imports_no_library_that_it_does_not_use(tmp_path: Path) -> None:
    """They take as long as torch: timm (which takes torchvision along) and scikit-learn (scipy, pandas)."""
    run = ["run", "--cpu", "--protocol", "smoke", "--methods", "ce", "--seeds", "0", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", PROBE, *run], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported: ['torch', 'accelerate', 'numpy', 'safetensors'] 0"
