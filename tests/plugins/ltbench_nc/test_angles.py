from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ltbench_nc import angles
from ltbench_nc.angles import smallest_angles, summarize_angles
from ltbench_nc.losses import between_loss


def everyone(means: Tensor) -> Tensor:
    return torch.ones(len(means), dtype=torch.bool)


def simplex_etf(classes: int, dim: int) -> Tensor:
    """Return a simplex ETF away from the origin: the corners of a simplex, turned and moved."""
    basis = torch.linalg.qr(torch.randn(dim, classes, dtype=torch.float64)).Q  # (dim, classes)
    return 5 * basis.T + 3 + torch.randn(dim, dtype=torch.float64)


def slow_loss(means: list[list[float]]) -> float:
    """Return eq. 15 in plain Python."""
    center = [sum(column) / len(means) for column in zip(*means, strict=True)]
    centered = [[x - c for x, c in zip(mean, center, strict=True)] for mean in means]

    def angle(u: list[float], v: list[float]) -> float:
        dot = sum(a * b for a, b in zip(u, v, strict=True))
        return math.acos(dot / math.sqrt(sum(a * a for a in u) * sum(b * b for b in v)))

    nearest = [min(angle(u, v) for j, v in enumerate(centered) if j != i) for i, u in enumerate(centered)]
    return -sum(nearest) / len(means)


def test_by_hand() -> None:
    # Around their mean (0, 0) these point to 0, 90, 180 and 270 degrees: every class has a neighbor at 90.
    means = torch.tensor([[3.0, 0.0], [0.0, 1.0], [-3.0, 0.0], [0.0, -1.0]]) + 7
    torch.testing.assert_close(between_loss(means, everyone(means)), torch.tensor(-math.pi / 2))
    figures = summarize_angles(means, everyone(means))
    assert figures == pytest.approx({"smallest_angle": 90, "mean_angle": (4 * 90 + 2 * 180) / 6})


def test_by_a_slow_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    means = torch.randn(9, 5, dtype=torch.float64)
    assert float(between_loss(means, everyone(means))) == pytest.approx(slow_loss(means.tolist()))
    whole = summarize_angles(means, everyone(means))
    monkeypatch.setattr(angles, "_BLOCK", 4)  # 9 classes in blocks of 4, 4 and 1
    assert float(between_loss(means, everyone(means))) == pytest.approx(slow_loss(means.tolist()))
    assert summarize_angles(means, everyone(means)) == pytest.approx(whole)


def test_rows_that_are_no_class_mean_do_not_count() -> None:
    means = torch.randn(6, 4)
    present = torch.tensor([True, False, True, True, False, True])
    garbage = means.clone()
    garbage[~present] = 1e6
    torch.testing.assert_close(between_loss(garbage, present), between_loss(means[present], everyone(means[present])))
    assert summarize_angles(garbage, present) == pytest.approx(summarize_angles(means[present], everyone(means[present])))


@pytest.mark.parametrize("classes", [3, 10, 33])
def test_a_simplex_etf_has_the_value_of_proposition_3(classes: int) -> None:
    means = simplex_etf(classes, 40)
    assert float(between_loss(means, everyone(means))) == pytest.approx(-math.acos(-1 / (classes - 1)))


@pytest.mark.parametrize(("classes", "dim"), [(3, 2), (10, 9), (10, 64)])
def test_optimization_reaches_the_etf_and_never_goes_below(classes: int, dim: int) -> None:
    means = torch.randn(classes, dim, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([means], lr=0.1)
    bound = -math.acos(-1 / (classes - 1))
    lowest = 0.0
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        loss = between_loss(means, everyone(means))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lowest = min(lowest, float(loss.detach()))
    assert bound - 1e-9 <= lowest < bound + math.radians(1.5)


def test_a_hundred_classes_in_64_dimensions_stay_at_or_below_90_degrees() -> None:
    means = torch.randn(100, 64, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([means], lr=0.05)
    smallest = []
    for _ in range(60):
        optimizer.zero_grad()
        between_loss(means, everyone(means)).backward()
        optimizer.step()
        smallest.append(summarize_angles(means, everyone(means))["smallest_angle"])
    assert max(smallest) <= 90 and smallest[-1] > smallest[0] + 5


def test_more_than_d_plus_one_directions_reach_90_degrees_at_most() -> None:
    # A hundred of the 128 ends of an orthonormal frame's axes: the bound is reached.
    axes = torch.eye(64, dtype=torch.float64)
    ends = torch.cat([axes[:50], -axes[:50]])
    assert summarize_angles(ends, everyone(ends))["smallest_angle"] == pytest.approx(90)


def test_two_classes_give_exactly_minus_pi_and_a_finite_gradient() -> None:
    for _ in range(50):
        means = torch.randn(2, 16, requires_grad=True)
        loss = between_loss(means, everyone(means))
        loss.backward()
        assert loss.detach() == torch.tensor(-math.pi)
        assert means.grad is not None and not means.grad.any()


@pytest.mark.parametrize("make", [
    lambda: torch.zeros(4, 3),  # dead features
    lambda: torch.randn(1, 3).expand(4, 3).clone(),  # all means coincide
    lambda: torch.tensor([[1.0, 0.0], [1.0, 0.0], [-2.0, 0.0]]),  # two coincide, opposite to the third
    lambda: torch.tensor([[1e8, 1.0], [1e8, 1.0 + 1e-6], [1e8, 1.0]]),  # nothing but rounding between them
])
def test_degenerate_means_have_finite_values_and_gradients(make: Callable[[], Tensor]) -> None:
    means = make().requires_grad_(True)
    loss = between_loss(means, everyone(means))
    loss.backward()
    assert torch.isfinite(loss) and means.grad is not None and torch.isfinite(means.grad).all()


def test_one_class_or_none_has_no_angle() -> None:
    means = torch.randn(3, 4, requires_grad=True)
    for present in (torch.tensor([False, True, False]), torch.zeros(3, dtype=torch.bool)):
        loss = between_loss(means, present)
        loss.backward()
        assert loss.detach() == 0 and means.grad is not None and not means.grad.any()
        assert summarize_angles(means, present) == {}


def test_the_gradient_is_that_of_the_angle_down_to_tiny_angles() -> None:
    # Three centered means, two of them an angle of 2e-4 apart: float32 arccos of their cosine would be off by percents.
    tiny = 1e-4
    means = torch.tensor([[1.0, tiny], [1.0, -tiny], [-2.0, 0.0]], requires_grad=True)
    found, counted = smallest_angles(means, everyone(means))
    assert counted.all()
    torch.testing.assert_close(found[:2], torch.full((2,), 2 * tiny), rtol=1e-4, atol=0)
    found[0].backward()
    assert means.grad is not None
    exact = torch.tensor([[1.0, tiny], [1.0, -tiny], [-2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    smallest_angles(exact, everyone(exact))[0][0].backward()
    assert exact.grad is not None
    torch.testing.assert_close(means.grad.double(), exact.grad, rtol=1e-3, atol=1e-3)
    assert torch.autograd.gradcheck(lambda m: between_loss(m, everyone(m)), torch.randn(6, 4, dtype=torch.float64,
                                                                                       requires_grad=True))
