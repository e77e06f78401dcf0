"""What strangers' files do to a decoder: any of them is decoded rightly or refused in one line, in bounded time and memory."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys

import pytest

from tests.support.peaks import STATUS
from tests.support.properties import MINUTE, SEED

COUNT = 50_000  # a minute of a core, or of a slower core as many as come in one


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="limits and peaks are Linux's")
def test_damaged_headers() -> None:
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    seed = os.environ.get(SEED) or str(secrets.randbelow(2**32))
    print(f"{SEED}={seed} tries these again")  # shown if it fails
    command = [sys.executable, "-m", "tests.support.mutated_images", seed, str(COUNT), str(int(MINUTE))]
    done = subprocess.run(command, env=places, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr  # libtiff writes lines of its own
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    tried = sum(told["counts"].values())
    assert tried > COUNT / 100 and told["counts"]["refused"] > tried / 4 and told["counts"]["decoded"] > tried / 8
    # An image just below the limit of pixels took 1,130, decoded and scaled.
    assert told["mebibytes"] < 1500
