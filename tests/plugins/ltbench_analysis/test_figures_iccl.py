from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltbench_analysis.figures.iccl import centroids, distillation, embeddings, norms
from ltbench_analysis.runs import Lacking
from tests.support.made_runs import COUNTS, curve, layer, runs, stage_of, write


def test_norms_of_both_stages_and_of_centroids(tmp_path: Path) -> None:
    first = layer(1, weight=torch.diag(torch.tensor([3.0, 3, 1, 1]))) | {"stage1.methods.iccl.centroids": torch.eye(4)}
    path = write(tmp_path, "a", first | layer(2, weight=2 * torch.eye(4)))
    drawing = norms(runs(path))
    assert [panel.series[0].y for panel in drawing.panels] == [[3, 3, 1, 1], [2, 2, 2, 2], [1, 1, 1, 1]]
    assert drawing.summary["ce"] == {"coefficient of variation after representation learning": 0.5,
                                     "coefficient of variation after classifier balancing": 0}


def test_norms_of_a_rival_have_no_centroids(tmp_path: Path) -> None:
    path = write(tmp_path, "a", layer(1, weight=torch.eye(4)) | layer(2, weight=torch.eye(4)))
    assert len(norms(runs(path)).panels) == 2
    with pytest.raises(Lacking, match="a linear classifier in its first"):
        norms(runs(write(tmp_path, "b", layer(1, prototypes=torch.eye(4)))))


def test_embeddings_with_centroids(tmp_path: Path) -> None:
    labels = torch.arange(4).repeat_interleave(COUNTS)
    points = 10 * torch.eye(4)[labels] + 0.1 * torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    kept = {"train.features": torch.zeros(len(labels), 4), "train.projection": points, "train.labels": labels,
            "stage1.methods.iccl.centroids": 10 * torch.eye(4)}
    panel = embeddings(runs(write(tmp_path, "a", layer() | kept, stages=[stage_of("iccl")]))).panels[0]
    assert [(series.label, len(series.x)) for series in panel.series] == [
        ("class 0", 101), ("class 1", 100), ("class 2", 20), ("class 3", 19), ("centroids", 4)]
    # A centroid lies in its class.
    stars = torch.tensor([panel.series[-1].x, panel.series[-1].y]).T
    clouds = torch.stack([torch.tensor([series.x, series.y]).mean(dim=1) for series in panel.series[:-1]])
    assert torch.cdist(stars, clouds).argmin(dim=1).tolist() == [0, 1, 2, 3]


def test_embeddings_need_the_projection(tmp_path: Path) -> None:
    kept = {"train.features": torch.zeros(240, 4), "train.labels": torch.arange(4).repeat_interleave(COUNTS)}
    with pytest.raises(Lacking, match="train.projection of every image"):
        embeddings(runs(write(tmp_path, "a", layer() | kept, stages=[stage_of("iccl")])))


def test_distillation(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"r{t}", right=(t, 0, 0, 0), expression=f"x(t={t})",
                   stages=[stage_of("iccl_rebalance", distill_temperature=float(t))]) for t in (1, 3)]
    series = distillation(runs(*paths)).panels[0].series[0]
    assert (series.label, series.x) == ("all", [1, 3]) and series.y == pytest.approx([100 / 12, 25])


def row(folder: Path, text: str, first: str = "iccl", right: int = 0, **options: float) -> Path:
    values = {"distill_temperature": 10.0, "distill_weight": 0.5, "gamma": 1.0, **options}
    return write(folder, text, right=(right, 0, 0, 0), expression=text,
                 stages=[stage_of(first), stage_of("iccl_rebalance", **values)])


def test_distillation_beside_the_rows_of_tables(tmp_path: Path) -> None:
    """Tables 7, 8 and 10 have rows at the temperature of the paper that differ from the figure's in something else."""
    figure = [row(tmp_path, f"t{value}", right=place, distill_temperature=float(value))
              for place, value in enumerate((1, 5, 10, 20))]
    tables = [row(tmp_path, "mixup", "mixup"), row(tmp_path, "ce", "ce"), row(tmp_path, "gamma", gamma=0.0),
              row(tmp_path, "weight", distill_weight=0.0), row(tmp_path, "both", gamma=0.0, distill_weight=0.0),
              write(tmp_path, "later", expression="later",
                    stages=[stage_of("iccl"), stage_of("iccl_rebalance", distill_temperature=2.0), stage_of("crt")])]
    drawing = distillation(runs(*tables, *figure))
    assert [panel.title for panel in drawing.panels] == ["rebalanced classifier"]
    assert drawing.panels[0].series[0].x == [1, 5, 10, 20]
    assert drawing.panels[0].series[0].y == pytest.approx([0, 100 / 12, 200 / 12, 25])
    assert drawing.used is not None and {run.path for run in drawing.used} == set(figure)
    with pytest.raises(Lacking, match=r"that differ in nothing else .all are at 10."):
        distillation(runs(*tables[:-1]))
    with pytest.raises(Lacking, match="runs at two values or more"):
        distillation(runs(tables[-1]))


def test_distillation_of_two_settings_has_two_panels(tmp_path: Path) -> None:
    paths = [row(tmp_path, f"{first}{value}", first, distill_temperature=value)
             for first in ("iccl", "mixup") for value in (1, 2)]
    assert [panel.title for panel in distillation(runs(*paths)).panels] == [
        "rebalanced classifier, iccl1", "rebalanced classifier, mixup1"]


def test_centroids_over_training(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"r{seed}", layer(), task__seed=seed,
                   curve=curve(centroids_many=[0.0, 90 + seed, 100.0], centroids_few=[0.0, 10 * seed, 4.0])) for seed in (0, 2)]
    (panel,) = centroids(runs(*paths)).panels
    assert [(series.label, series.y) for series in panel.series] == [("many", [0, 91, 100]), ("few", [0, 10, 4])]
    with pytest.raises(Lacking, match="the curves centroids_many"):
        centroids(runs(write(tmp_path, "other", layer())))
