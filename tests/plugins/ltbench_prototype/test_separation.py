from __future__ import annotations

import math
import time

import pytest
import torch

from ltbench.method.context import Bank
from ltbench_prototype import separation as module
from ltbench_prototype.prototype import PrototypeClassifier
from ltbench_prototype.separation import separation
from tests.support.stages import facts, later_stage

# Two head classes, one between, two tail classes, and one without images.
COUNTS = torch.tensor([500, 101, 100, 19, 1, 0])
PAIRS = (("all", "all", "all"), ("head", "head", "head"), ("head_tail", "head", "tail"), ("tail", "tail", "tail"))


def slow(prototypes: list[list[float]], left: list[int], right: list[int]) -> tuple[float, float]:
    pairs = [(prototypes[a], prototypes[b]) for a in left for b in right if a != b]
    cosines = [sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b) for a, b in pairs]
    return sum(math.dist(a, b) for a, b in pairs) / len(pairs), sum(cosines) / len(pairs)


@pytest.mark.parametrize("rows", [2, 1024])
def test_against_loops_over_pairs(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", rows)
    prototypes = torch.randn(6, 7) + 1
    found = separation(prototypes, COUNTS)
    groups = {"all": [0, 1, 2, 3, 4], "head": [0, 1], "tail": [3, 4]}
    expected = {}
    for name, left, right in PAIRS:
        expected[f"separation_{name}_euclidean"], expected[f"separation_{name}_cosine"] = slow(
            prototypes.double().tolist(), groups[left], groups[right])
    assert found == pytest.approx(expected, rel=1e-5)


def test_by_hand() -> None:
    prototypes = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, -2.0]])
    found = separation(prototypes, torch.tensor([200, 150, 5]))
    assert found["separation_head_euclidean"] == pytest.approx(5.0)
    assert found["separation_head_cosine"] == pytest.approx(0.0)
    assert found["separation_head_tail_euclidean"] == pytest.approx((math.sqrt(13) + 6) / 2)
    assert found["separation_head_tail_cosine"] == pytest.approx(-0.5)
    assert "separation_tail_euclidean" not in found  # one class is no pair


def test_without_head_or_tail_classes_only_their_figures_are_left_out() -> None:
    assert set(separation(torch.randn(3, 2), torch.tensor([50, 40, 30]))) == {"separation_all_euclidean", "separation_all_cosine"}
    assert separation(torch.randn(1, 2), torch.tensor([50])) == {}


def test_measuring_changes_nothing() -> None:
    bank = Bank(torch.randn(8, 3), torch.arange(4).repeat(2))
    engine = later_stage(PrototypeClassifier(facts([200, 150, 10, 5], 3)), bank)
    (method,) = engine.stack.methods
    before = {name: value.clone() for name, value in engine.state_dict().items()}
    first = method.measure(engine.ctx)
    assert set(first) == {f"separation_{pair}_{kind}" for pair, _, _ in PAIRS for kind in ("euclidean", "cosine")}
    assert method.measure(engine.ctx) == first
    assert all(torch.equal(value, before[name]) for name, value in engine.state_dict().items())


@pytest.mark.slow
def test_inaturalist_within_memory_and_time() -> None:
    prototypes, counts = torch.randn(8142, 2048), torch.logspace(3, 0.3, 8142).long()
    largest: list[int] = []
    original = module.ltbench.euclidean_distance

    def watched(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        largest.append(len(x) * len(c))
        return original(x, c)

    module.ltbench.euclidean_distance = watched  # type: ignore[assignment]
    started = time.process_time()
    try:
        found = separation(prototypes, counts)
    finally:
        module.ltbench.euclidean_distance = original
    assert time.process_time() - started < 60
    assert max(largest) <= 1024 * 8142  # a block of rows, never (C, C)
    assert found["separation_all_euclidean"] == pytest.approx(math.sqrt(2 * 2048), rel=0.01)
