"""What strangers' files do to a decoder: any of them is decoded rightly or refused in one line, in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.peaks import STATUS

COUNT = 20_000  # half a minute to a minute of a core


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="limits and peaks are Linux's")
def test_damaged_headers() -> None:
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-m", "tests.support.mutated_images", "0", str(COUNT)], env=places, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr  # libtiff writes lines of its own
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["counts"]["refused"] > COUNT / 4 and told["counts"]["decoded"] > COUNT / 8
    assert told["mebibytes"] < 1000  # an image of 89 million pixels takes 700; measured: MEASURED
