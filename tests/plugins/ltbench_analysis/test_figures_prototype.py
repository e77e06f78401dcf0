from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltbench_analysis.figures.prototype import evolution, norms
from ltbench_analysis.runs import Lacking
from tests.support.made_runs import curve, layer, runs, write

SCALE = torch.tensor([[4.0], [2.0], [2.0], [4.0]])


def test_norms(tmp_path: Path) -> None:
    tensors = layer(1, weight=SCALE * torch.eye(4)) | layer(2, means=2 * torch.eye(4), prototypes=3 * torch.eye(4))
    drawing = norms(runs(write(tmp_path, "a", tensors, expression="ce/prototype")))
    assert [panel.title for panel in drawing.panels] == ["class sizes", "softmax classifier", "centroids", "prototypes"]
    assert [panel.series[0].y for panel in drawing.panels] == [[101, 100, 20, 19], [4, 2, 2, 4], [2, 2, 2, 2], [3, 3, 3, 3]]
    assert drawing.summary == {"ce/prototype": {"coefficient of variation, softmax classifier": pytest.approx(1 / 3),
                                                "coefficient of variation, centroids": 0,
                                                "coefficient of variation, prototypes": 0}}


def test_classes_stand_by_size_and_seeds_are_averaged(tmp_path: Path) -> None:
    paths = []
    for seed in (0, 1, 2):
        weight = torch.diag(torch.tensor([1.0, 2, 3, 4]) + seed)
        tensors = layer(1, weight=weight) | layer(2, prototypes=torch.eye(4))
        split = {"hash": "ab", "class_counts": [19, 20, 101, 100], "test_counts": [3, 3, 3, 3]}
        paths.append(write(tmp_path, f"r{seed}", tensors, task__seed=seed, split=split))
    series = norms(runs(*paths)).panels[1].series
    assert len(series) == 1 and series[0].y == [4, 5, 3, 2]  # classes 2, 3, 1, 0
    # Three seeds 1 apart: deviation 1, over sqrt(3), times Student's 4.303 for two degrees of freedom.
    assert series[0].spread == pytest.approx([4.3026527 / 3**0.5] * 4)
    assert norms(runs(*paths[:2])).panels[1].series[0].spread is None  # two seeds have no interval


def test_norms_need_points(tmp_path: Path) -> None:
    with pytest.raises(Lacking, match="prototypes in the last stage"):
        norms(runs(write(tmp_path, "a", layer(1, weight=torch.eye(4)))))
    with pytest.raises(Lacking, match="vectors of the softmax classifier"):
        norms(runs(write(tmp_path, "b", layer(1, prototypes=torch.eye(4)))))


def test_evolution(tmp_path: Path) -> None:
    rows = curve(2, separation_head_euclidean=[1.0, 2.0], separation_tail_euclidean=[0.5, 1.0], separation_head_cosine=[0.9, 0.4],
                 separation_tail_cosine=[0.95, 0.6], loss=[1.0, 0.5])
    tensors = layer(1, weight=torch.eye(4)) | layer(2, prototypes=2 * torch.eye(4))
    drawing = evolution(runs(write(tmp_path, "a", tensors, curve=rows)))
    assert [(series.label, series.x, series.y) for series in drawing.panels[0].series] == [
        ("head pairs", [0, 1], [1, 2]), ("tail pairs", [0, 1], [0.5, 1])]
    assert [series.y for series in drawing.panels[1].series] == [[0.9, 0.4], [0.95, 0.6]]
    # One class of each kind: no pair within, one between; all are 2 sqrt(2) apart and at right angles.
    end = {"euclidean": pytest.approx(8**0.5), "cosine": 0}
    assert drawing.summary == {"ce": {"all-all at the end": end, "head-tail at the end": end}}


def test_evolution_within_an_epoch(tmp_path: Path) -> None:
    rows = curve(2, separation_all_euclidean=[1.0, 4.0], separation_all_cosine=[0.9, 0.1])
    between = {"separation_all_euclidean": 3.0, "separation_all_cosine": 0.2}
    rows.insert(1, {"stage": 2, "epoch": 0, "epochs": 1, "part": 0.25, **between})
    series = [panel.series[0] for panel in evolution(runs(write(tmp_path, "a", layer(), curve=rows))).panels]
    assert [line.x for line in series] == [[0, 0.25, 1], [0, 0.25, 1]]
    assert [line.y for line in series] == [[1, 3, 4], [0.9, 0.2, 0.1]]


def test_evolution_needs_the_curves(tmp_path: Path) -> None:
    with pytest.raises(Lacking, match="separation"):
        evolution(runs(write(tmp_path, "a", layer())))
