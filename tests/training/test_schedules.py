from __future__ import annotations

import pytest
import torch

from ltbench.terms.protocol import Protocol
from ltbench.training.schedules import for_stage, schedule


def torch_rates(make: object, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)  # type: ignore[operator]
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_equals_torch() -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20), 20)
    assert [schedule("cosine", 20)(step) for step in range(20)] == pytest.approx(expected)


def test_one_cycle_starts_peaks_and_ends_as_torch() -> None:
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=101, pct_start=0.3), 100)
    ours = [schedule("one_cycle", 100, warmup=0.3)(step) for step in range(100)]
    assert ours[0] == pytest.approx(expected[0])
    assert max(ours) == 1.0
    assert ours == pytest.approx(expected, abs=0.03)  # torch's corners lie up to a step elsewhere


def test_step_decays_at_fractions_after_a_linear_warm_up() -> None:
    factor = schedule("step", 200, warmup=0.025, milestones=(0.8, 0.9), gamma=0.01)
    assert [factor(step) for step in (0, 1, 4)] == pytest.approx([0.2, 0.4, 1.0])
    assert [factor(step) for step in (5, 159, 160, 179, 180, 199)] == pytest.approx([1, 1, 0.01, 0.01, 1e-4, 1e-4])


def test_a_shorter_run_keeps_its_shape() -> None:
    for name in ("step", "cosine", "one_cycle"):
        long = schedule(name, 2000, warmup=0.1, milestones=(0.8,))
        short = schedule(name, 200, warmup=0.1, milestones=(0.8,))
        assert [long(10 * step + 5) for step in range(200)] == pytest.approx([short(step) for step in range(200)], abs=0.06)


def test_stages_follow_their_own_schedule() -> None:
    protocol = Protocol("x", backbone="b", epochs=1, schedule="step", warmup=0.0, milestones=(0.5,), stage2_schedule="constant")
    assert for_stage(protocol, 1, 10)(5) == pytest.approx(0.1)
    assert for_stage(protocol, 2, 10)(9) == 1.0
