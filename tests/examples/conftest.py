"""The folder of single-file examples can be imported from, as ``--plugin`` would do it."""

from __future__ import annotations

import sys

from tests.support.stranger import ROOT

EXAMPLES = ROOT / "examples"

if str(EXAMPLES) not in sys.path:
    sys.path.append(str(EXAMPLES))
