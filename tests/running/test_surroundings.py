"""What is said before the first run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ltbench.running import environment
from ltbench.running.environment import surroundings


@pytest.mark.parametrize(("precision", "kernels", "text"), [
    ("no", False, "fp32"),
    ("bf16", True, "bf16"),
    ("bf16", False, "bf16, for which this processor has no kernels: fp32 is some ten times as quick"),
])
def test_bf16_without_kernels_is_slow_and_said(monkeypatch: pytest.MonkeyPatch, precision: str, kernels: bool, text: str) -> None:
    monkeypatch.setattr(environment, "has_bf16", lambda: kernels)
    accelerator: Any = SimpleNamespace(device=torch.device("cpu"), num_processes=1, mixed_precision=precision)
    threads = torch.get_num_threads()
    assert surroundings(2, accelerator) == f"2 runs on cpu, {threads} thread{'s' * (threads > 1)} in {text}"


def test_whether_there_are_kernels_can_be_told() -> None:
    convolution = torch.nn.Conv2d(4, 4, 3).to(torch.bfloat16)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        convolution(torch.ones(1, 4, 8, 8, dtype=torch.bfloat16))
    used = {event.key for event in profile.key_averages()}
    assert ("aten::mkldnn_convolution" in used) == environment.has_bf16(), used
