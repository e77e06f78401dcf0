from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ltbench_analysis.figures import nc
from ltbench_analysis.figures.nc import mean_norms, pairwise_angles
from ltbench_analysis.figures.neural_collapse import neural_collapse
from ltbench_analysis.runs import Lacking
from tests.support.made_runs import layer, runs, write

SIMPLEX = math.degrees(math.acos(-1 / 3))


def test_angles_of_a_simplex(tmp_path: Path) -> None:
    drawing = pairwise_angles(runs(write(tmp_path, "a", layer(means=torch.eye(4) + 5))))
    grid = drawing.panels[0].grid
    assert all(math.isnan(grid[i][j]) if i == j else grid[i][j] == pytest.approx(SIMPLEX) for i in range(4) for j in range(4))
    assert drawing.summary["ce"] == {name: pytest.approx(SIMPLEX)
                                     for name in ("smallest angle", "mean angle", "angle of a simplex")}


def test_a_map_has_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nc, "_MOST", 3)
    with pytest.raises(Lacking, match="2 to 3 classes"):
        pairwise_angles(runs(write(tmp_path, "a", layer())))


def test_norms_are_of_centered_means_and_labels_say_what_differs(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a", layer(means=torch.eye(4) + 5)),
             write(tmp_path, "b", layer(means=2 * torch.eye(4)), task__dataset="other", task__imbalance_ratio=1.0)]
    drawing = mean_norms(runs(*paths))
    size = math.sqrt(0.75**2 + 3 * 0.25**2)
    assert [(series.label, series.y) for series in drawing.panels[0].series] == [
        ("ce, digits-lt@20", pytest.approx([size] * 4)), ("ce, other@1", pytest.approx([2 * size] * 4))]
    assert drawing.summary["ce, other@1"] == {"coefficient of variation": pytest.approx(0, abs=1e-7)}


def test_nc4_of_test_images_is_by_what_the_run_answered(tmp_path: Path) -> None:
    labels = torch.arange(4).repeat_interleave(3)
    kept = {"train.features": torch.eye(4), "train.labels": torch.arange(4), "test.features": torch.eye(4)[labels],
            "test.labels": labels}
    given = layer(means=torch.eye(4), weight=torch.eye(4), bias=torch.zeros(4), variance=torch.zeros(4)) | kept
    drawing = neural_collapse(runs(write(tmp_path, "a", given, right=(3, 2, 1, 0))))
    figures = drawing.summary["ce"]
    assert figures["nc4_test"] == 0.5  # half of the answers are wrong, and every feature lies on its mean
    assert figures["nc4_train"] == 0 and figures["nc4_means"] == 0
    assert figures["nc1_features"] == pytest.approx(0, abs=1e-12)
    assert [panel.title[:3] for panel in drawing.panels] == ["NC1", "NC2", "NC3", "NC4"]


def test_answers_under_noise_are_of_other_images(tmp_path: Path) -> None:
    kept = {"train.features": torch.eye(4), "train.labels": torch.arange(4), "test.features": torch.ones(12, 4),
            "test.labels": torch.arange(4).repeat_interleave(3)}
    path = write(tmp_path, "a", layer() | kept, protocol__eval_noise=0.4)
    assert "nc4_test" not in neural_collapse(runs(path)).summary["ce"]
