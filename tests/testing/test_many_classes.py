"""Every built-in method with iNaturalist's 8,142 classes, by the kit's check; who cannot pass it stands here with the reason.

The check allows 240 MiB and 60 seconds of processor time, with the digits' network of 64 features and each method's defaults.
tests/plugins/test_many_classes.py tries later stages at 512 features, and those of full rank at rank 1.
"""

from __future__ import annotations

import sys

import pytest

from ltbench.registry.discovery import load_registry
from ltbench.testing import check_many_classes
from tests.support.methods import NEED_A_FILE

# A (64, 64) matrix for each class takes 127 MiB, and training takes several: 541 and 330 MiB.
FULL_RANK = {"lncm_local", "local_projection"}
# Which are made of pairs of classes. "Over": what a process had taken when it was ended.
PAIRS = {
    "etf": "a simplex of C points needs C - 1 dimensions: 253 MiB, and twice that for its axes in float64; over 1,480",
    "hpn": "C dimensions by default: 253 MiB, and 1,000 steps that compare all pairs, which take over a minute; over 960",
    "hyperspherical": "C / 2 dimensions by default: 126 MiB for prototypes, as many for means, more for axes; over 1,270",
    "hyperspherical_psc": "exact assignment of C labels: 506 MiB for costs, and over a minute where most classes have no image",
}
NAMES = {entry.spec.name for entry in load_registry(strict=False).methods.values()}
WITHIN = NAMES - NEED_A_FILE - FULL_RANK - set(PAIRS)


def test_who_is_left_out_is_a_method_and_said_once() -> None:
    left_out = [*NEED_A_FILE, *FULL_RANK, *PAIRS]
    assert len(WITHIN) + len(left_out) == len(NAMES) and set(left_out) <= NAMES
    assert len(WITHIN) >= 81


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux's /proc")
def test_methods_bear_many_classes() -> None:
    """A minute of processor time for all of them, half of a second for most."""
    results = check_many_classes(sorted(WITHIN | FULL_RANK))
    assert set(results) == WITHIN | FULL_RANK
    assert [str(result) for name, result in results.items() if not result.ok and name not in FULL_RANK] == []
    assert {name for name in FULL_RANK if "MiB with 8,142 classes" in results[name].message} == FULL_RANK
