from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ltbench.backbones.operations import count_operations
from ltbench.cli.main import main


def test_operations_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
    # 4 maps of 8 x 8 from 9 pixels each, then 10 products of 256 numbers; twice each for multiplication and addition.
    assert count_operations(model, torch.zeros(1, 1, 8, 8)) == 2 * (4 * 64 * 9 + 10 * 256)
    assert count_operations(model, torch.zeros(3, 1, 8, 8)) == 3 * 2 * (4 * 64 * 9 + 10 * 256)


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("costs")
    assert main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "ce,ldam,ncm,prototype,post_la,ride,etf",
                 "--out", str(folder), "--cache", str(folder / "cache")]) == 0
    records = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
    return {record["expression"]: record["cost"] for record in records}


def test_a_plain_classifier_is_the_unit(costs: dict[str, dict[str, Any]]) -> None:
    # The network of digits has 17,632 weights and 64 features; ten classes, with biases but for the cosine head.
    assert costs["ce"]["parameters"] == 17_632 + 64 * 10 + 10
    assert costs["ldam"]["parameters"] == 17_632 + 64 * 10
    assert [costs[name]["relative"] for name in ("ce", "ldam", "post_la")] == [1.0, 1.0, 1.0]


def test_heads_and_experts_cost_what_they_compute(costs: dict[str, dict[str, Any]]) -> None:
    plain = costs["ce"]["operations"]
    assert costs["ce/ncm"]["operations"] == plain == costs["ce/prototype"]["operations"]  # one product with C centroids
    assert costs["etf"]["operations"] > plain  # a projection before it
    assert 1.2 < costs["ride"]["relative"] < 3  # experts share all but their last stages
