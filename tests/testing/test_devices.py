"""What runs on a CPU alone is found in every slot, whatever is wrong."""

from __future__ import annotations

import pytest

from ltbench.testing.kit import CHECKS, run_check
from tests.support.planted_places import PLANTED, SLOTS

PLUGINS = ("tests.support.planted_places",)
MIXED = "RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
TOLD = {"unregistered": MIXED, "indexed": MIXED, "mixed": MIXED,
        "counts": "RuntimeError: indices should be either on cpu or on the same device as the indexed tensor (cpu)",
        "read": "TypeError: can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy it to the host first.",
        "drawn": "RuntimeError: Expected a 'cuda' device type for generator but found 'cpu'"}
USUAL = [name for name in PLANTED if name.split("_")[1] in ("unregistered", "indexed", "mixed")]


@pytest.mark.parametrize("method", [pytest.param(name, marks=() if name in USUAL else pytest.mark.slow) for name in PLANTED])
def test_a_misplaced_tensor_is_found(method: str) -> None:
    result = run_check("devices", method, plugins=PLUGINS)
    assert (result.state, result.mend) == ("failed", CHECKS["devices"].mend)
    assert result.message.startswith(f"{TOLD[method.split('_')[1]]} (planted_places.py, line ")


def test_features_that_a_gpu_has_no_room_for_are_found_to_be_missed() -> None:
    result = run_check("devices", "misplaced_bank", plugins=PLUGINS)
    assert not result.ok and result.message.startswith(f"{TOLD['counts']} (planted_places.py, line ")


@pytest.mark.parametrize("slot", SLOTS)
def test_on_a_cpu_it_trains(slot: str) -> None:
    assert run_check("trains", f"misplaced_mixed_{slot}", plugins=PLUGINS).ok
