from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ltbench.system import launcher


def test_it_is_read_before_anything_that_takes_long() -> None:
    look = "import ltbench, sys; print(sys.modules['ltbench.system.launcher'].PID, 'torch' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert seen.split() == [str(os.getpid()), "False"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_has_its_own() -> None:
    here = os.getpid()
    child = os.fork()
    if child == 0:
        os._exit(launcher.PID != here)
    assert os.waitpid(child, 0)[1] == 0
