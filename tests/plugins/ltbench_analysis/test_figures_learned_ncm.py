from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.covariance import OAS, LedoitWolf

from ltbench_analysis.figures.learned_ncm import (
    adjustment_weight,
    class_variance,
    displacement,
    learning_curves,
    neighborhoods,
    projections,
)
from ltbench_analysis.runs import Lacking
from tests.support.made_runs import COUNTS, curve, layer, runs, stage_of, write


def features() -> dict[str, torch.Tensor]:
    labels = torch.arange(4).repeat_interleave(COUNTS)
    noise = torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(0))
    return {"train.features": noise * (labels[:, None] + 1) + 10 * labels[:, None], "train.labels": labels}


def test_variance_against_scikit_learn(tmp_path: Path) -> None:
    kept = features()
    drawing = class_variance(runs(write(tmp_path, "a", layer() | kept)))
    by_label = {series.label: series for series in drawing.panels[0].series}
    assert by_label["empirical"].x == [101, 100, 20, 19]
    for k in range(4):
        own = kept["train.features"][kept["train.labels"] == k].double()
        away = own - own.mean(dim=0)
        largest = [float(torch.linalg.eigvalsh(away.T @ away / len(own))[-1])]
        largest += [float(torch.linalg.eigvalsh(torch.from_numpy(model().fit(own.numpy()).covariance_))[-1])
                    for model in (LedoitWolf, OAS)]
        assert [by_label[name].y[k] for name in ("empirical", "ledoit wolf", "oas")] == pytest.approx(largest, rel=1e-6)
    assert drawing.summary["ce"]["rank correlation, empirical"] == pytest.approx(-1)  # it grows as classes get smaller


def test_features_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Lacking, match="run with --keep features"):
        class_variance(runs(write(tmp_path, "a", layer())))


def test_neighborhoods_show_two_large_classes_and_the_smallest(tmp_path: Path) -> None:
    given = runs(write(tmp_path, "a", layer() | features()))
    panel = neighborhoods(given).panels[0]
    assert [(series.label, len(series.x)) for series in panel.series] == [
        ("class 0, 101 images", 101), ("class 1, 100 images", 100), ("class 3, 19 images", 19)]
    assert panel == neighborhoods(given).panels[0]
    # Classes that lie ten apart do not mix: each point's nearest neighbor in the map is of its class.
    place = torch.cat([torch.tensor([series.x, series.y]).T for series in panel.series])
    own = torch.arange(3).repeat_interleave(torch.tensor([101, 100, 19]))
    apart = torch.cdist(place, place).fill_diagonal_(torch.inf)
    assert (own[apart.argmin(dim=1)] == own).double().mean() > 0.95


def test_projections(tmp_path: Path) -> None:
    weights = torch.tensor([[0.0, 0.0], [0.0, 100.0], [0.0, -100.0], [0.0, 0.0]])
    path = write(tmp_path, "a", layer(1, weights=weights), stages=[stage_of("local_projection")])
    assert projections(runs(path)).panels[0].grid == [[0.5, 0.5], [0.5, 1], [0.5, pytest.approx(0)], [0.5, 0.5]]


def test_learning_curves(tmp_path: Path) -> None:
    rows = curve(1, train_many=[0.0, 80.0], train_few=[0.0, 1.0])
    panel = learning_curves(runs(write(tmp_path, "a", curve=rows))).panels[0]
    assert [(series.label, series.y) for series in panel.series] == [("many", [0, 80]), ("few", [0, 1])]
    assert panel.ylabel == "training accuracy in %"


def test_learning_curves_are_of_images_held_out_where_a_run_has_such(tmp_path: Path) -> None:
    rows = curve(1, train_many=[0.0, 80.0], held_out_many=[0.0, 60.0], held_out_few=[0.0, 1.0])
    held, plain = write(tmp_path, "a", curve=rows), write(tmp_path, "b", expression="rs", curve=curve(1, train_many=[0.0, 90.0]))
    first, second = learning_curves(runs(held, plain)).panels
    assert [(series.label, series.y) for series in first.series] == [("many", [0, 60]), ("few", [0, 1])]
    assert first.ylabel == "accuracy on held-out images in %"
    assert [series.y for series in second.series] == [[0, 90]] and second.ylabel == "training accuracy in %"


def test_adjustment_weight(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"r{tau}{seed}", right=right, expression=f"lncm(tau={tau})", task__seed=seed,
                   stages=[stage_of("lncm", tau=tau)])
             for tau, seed, right in ((1.0, 0, (0, 0, 0, 3)), (0.0, 0, (3, 2, 1, 0)), (0.0, 1, (3, 3, 3, 3)))]
    by_label = {series.label: series for series in adjustment_weight(runs(*paths)).panels[0].series}
    assert by_label["all"].x == [0, 1] and by_label["all"].y == pytest.approx([75, 25])  # (50 + 100) / 2; 3 of 12
    assert by_label["few"].y == pytest.approx([50, 100]) and by_label["many"].y == pytest.approx([100, 0])
    with pytest.raises(Lacking, match="two values of tau or more"):
        adjustment_weight(runs(*paths[1:]))


def test_a_sweep_joins_equal_terms_only(tmp_path: Path) -> None:
    first = write(tmp_path, "a", expression="ce/lncm", stages=[stage_of("ce"), stage_of("lncm", tau=0.0, lr=5.0)])
    others = {"epochs": {"protocol__epochs": 99}, "below": {"stages": [stage_of("mixup"), stage_of("lncm", tau=1.0, lr=5.0)]},
              "option": {"stages": [stage_of("ce"), stage_of("lncm", tau=1.0, lr=1.0)]}}
    for name, change in others.items():
        other = write(tmp_path, name, **({"stages": [stage_of("ce"), stage_of("lncm", tau=1.0, lr=5.0)]} | change))
        with pytest.raises(Lacking, match=r"equal terms at two values of tau or more, got 0 \(ce/lncm on "):
            adjustment_weight(runs(first, other))


def test_figures_5_and_6_of_a_folder_with_everything(tmp_path: Path) -> None:
    """The card's commands fill one folder: stacks that hold learned centroids below something else are left out by name."""
    kept = layer(2, prototypes=2 * torch.eye(4))
    stages = {"ce/lncm": ["ce", "lncm 0"], "ce/lncm(tau=0.125)": ["ce", "lncm 0.125"], "ce/lncm_la": ["ce", "lncm_la 0.125"],
              "ce/lncm/multi_ncm": ["ce", "lncm 0", "multi_ncm 0"], "ce/bn_stats/lncm": ["ce", "bn_stats", "lncm 0"],
              "wd/lncm": ["wd", "lncm 0"], "wd/lncm(tau=1)": ["wd", "lncm 1"]}
    paths = []
    for place, (expression, names) in enumerate(stages.items()):
        words = [text.split() for text in names]
        made = [stage_of(name, **({"tau": float(tau[0])} if tau else {})) for name, *tau in words]
        paths.append(write(tmp_path, str(place), kept, expression=expression, stages=made, right=(place % 4, 0, 0, 0),
                           curve=curve(len(made), cdnv=[0.9, 0.5])))
    drawing = adjustment_weight(runs(*paths))
    assert [panel.title for panel in drawing.panels] == [f"learned centroids, digits-lt@20, on {below}" for below in ("ce", "wd")]
    assert [panel.series[0].x for panel in drawing.panels] == [[0, 0.125], [0, 1]]
    assert drawing.panels[0].series[0].y == pytest.approx([0, 100 / 12])  # of lncm(tau=0.125), not of lncm_la
    assert drawing.summary == {"left out": "ce/bn_stats/lncm, ce/lncm/multi_ncm"}
    moved = displacement(runs(*paths))
    assert len(moved.panels[0].series) == 6 and moved.summary["left out"] == "ce/lncm/multi_ncm"
    with pytest.raises(Lacking, match="whose last stage is lncm or lncm_la, got ce/lncm/multi_ncm"):
        displacement(runs(paths[3]))


def test_displacement(tmp_path: Path) -> None:
    moved = torch.eye(4) + torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    path = write(tmp_path, "a", layer(2, prototypes=moved), stages=[stage_of("lncm_la", tau=0.125)],
                 curve=curve(2, cdnv=[0.9, 0.5]))
    drawing = displacement(runs(path))
    assert drawing.panels[0].series[0].y == pytest.approx([1, 2, 3, 4])
    assert drawing.panels[1].series[0].y == [0.9, 0.5]
    assert drawing.summary["ce"] == {"mean displacement": pytest.approx(2.5), "CDNV before": 0.9, "CDNV after": 0.5,
                                     "rank correlation of displacement and class size": pytest.approx(-1)}
