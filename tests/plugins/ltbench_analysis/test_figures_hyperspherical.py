from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ltbench_analysis.figures import assignment
from ltbench_analysis.figures.assignment import churn, dimensions, figure4, interval, seconds, uniformity
from ltbench_analysis.figures.hyperspherical import cosines, spread
from ltbench_analysis.runs import Lacking
from tests.support.made_runs import curve, layer, runs, stage_of, write

CROSS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])  # on the circle: cosines 0, -1, 0


def crossed(folder: Path) -> Path:
    return write(folder, "cross", layer(means=torch.randn(4, 2), prototypes=CROSS, assignment=torch.tensor([3, 1, 0, 2])))


def test_spread_by_hand(tmp_path: Path) -> None:
    drawing = spread(runs(crossed(tmp_path)))
    assert drawing.summary["ce"] == {"APAD": pytest.approx((2 * math.pi / 2 + math.pi) / 3), "smallest cosine distance": 1}
    assert len(drawing.summary) == 4  # and three random sets, none of which comes closer to the optimum
    assert all(values["smallest cosine distance"] <= 1 for values in drawing.summary.values())
    sphere = drawing.panels[1].series
    assert [(series.label, len(series.x)) for series in sphere] == [("optimized", 4), ("random", 4)]
    assert all(-1 <= height <= 1 for series in sphere for height in series.y if height is not None)


def test_cosines_by_hand(tmp_path: Path) -> None:
    drawing = cosines(runs(crossed(tmp_path)))
    assert drawing.panels[0].series[0].y == pytest.approx([-1 / 3] * 4)
    assert drawing.summary["ce"] == {"largest cosine": 0, "smallest cosine": -1, "cosine of a simplex": -1 / 3}


def test_points_are_no_directions(tmp_path: Path) -> None:
    with pytest.raises(Lacking, match="unit prototypes"):
        cosines(runs(write(tmp_path, "a", layer(prototypes=torch.eye(4)))))


def run_of(folder: Path, name: str, hits: int, method: str = "hyperspherical", **options: object) -> Path:
    return write(folder, name, right=(hits, 0, 0, 0), expression=f"{method}({name})", stages=[stage_of(method, **options)],
                 curve=curve(1, churn=[0.0, 0.5, 0.25, 0.0]) if method == "hyperspherical" else [])


def test_interval_counts_assignments_an_epoch(tmp_path: Path) -> None:
    # 240 images at batch 128 are one step, so every 1 step is once an epoch; 0 is once an epoch too, in another run.
    paths = [run_of(tmp_path, "b", 3, reassign_every=2), run_of(tmp_path, "a", 1, reassign_every=0)]
    series = interval(runs(*paths)).panels[0].series
    assert [(line.label, line.x) for line in series] == [("hyperspherical", [0.5, 1.0])]
    assert series[0].y == pytest.approx([25, 100 / 12])


def test_the_whole_figure_takes_the_runs_of_all_its_commands(tmp_path: Path) -> None:
    """3a brings d = 3, 3b three intervals at d = 2, of which one is an epoch in steps, and 3d the default, which is d = 2."""
    paths = [run_of(tmp_path, "a", 0, dim=3, reassign_every=0), run_of(tmp_path, "d", 3, dim=None, reassign_every=0),
             *(run_of(tmp_path, f"b{every}", hits, dim=2, reassign_every=every) for every, hits in ((4, 0), (2, 1), (1, 2)))]
    drawing = interval(runs(*paths))
    assert [(line.label, line.x) for line in drawing.panels[0].series] == [("hyperspherical", [0.25, 0.5, 1.0])]
    assert drawing.panels[0].series[0].y == pytest.approx([0, 100 / 12, 200 / 12])  # in steps, not the default's 25
    assert drawing.used is not None and len(drawing.used) == 3
    weighted = [run_of(tmp_path, f"p{place}", 1, "psc", uniformity=weight, dim=None) for place, weight in enumerate((0, 0.1, 1))]
    levels = uniformity(runs(*paths, *weighted)).panels[0].series[1:]
    assert [(line.label, line.y) for line in levels] == [("psc", [pytest.approx(100 / 12)]), ("hyperspherical, d = 2", [25])]


def test_settings_are_lines_of_their_own(tmp_path: Path) -> None:
    paths = [run_of(tmp_path, f"{dim}{every}", 1, dim=dim, reassign_every=every) for dim in (2, 3) for every in (1, 2)]
    series = interval(runs(*paths)).panels[0].series
    assert [line.x for line in series] == [[0.5, 1.0]] * 2 and len({line.label for line in series}) == 2
    with pytest.raises(Lacking, match="that differ in nothing else"):
        interval(runs(paths[0], paths[3]))


def test_dimensions_leave_out_other_intervals(tmp_path: Path) -> None:
    other = run_of(tmp_path, "other", 0, dim=3, dynamic=True, reassign_every=7)
    drawing = dimensions(runs(*dimension_runs(tmp_path), other))
    assert [line.x for line in drawing.panels[0].series] == [[2, 3], [2, 3]]
    assert drawing.used is not None and len(drawing.used) == 4


def test_uniformity_has_levels(tmp_path: Path) -> None:
    paths = [run_of(tmp_path, "p0", 0, "psc", uniformity=0.0), run_of(tmp_path, "p1", 1, "psc", uniformity=0.01),
             run_of(tmp_path, "p2", 2, "psc", uniformity=0.1), run_of(tmp_path, "h", 3, reassign_every=0)]
    series = uniformity(runs(*paths)).panels[0].series
    assert [(line.label, line.marks, line.x) for line in series] == [
        ("psc with uniformity loss", "line", [0.01, 0.1]), ("psc", "level", []), ("hyperspherical, d = 2", "level", [])]
    assert [line.y for line in series] == [pytest.approx([100 / 12, 200 / 12]), [0], [25]]
    with pytest.raises(Lacking, match="a uniformity weight above 0"):
        uniformity(runs(paths[0]))


def test_uniformity_beside_the_rows_of_tables(tmp_path: Path) -> None:
    """Tables 8 and 9 have rows at d = 16, 32 and 64, with the loss and without, as fixed prototypes and below another stage."""
    figure = [run_of(tmp_path, f"u{place}", place, "psc", uniformity=weight, dim=None, prototypes="learned")
              for place, weight in enumerate((0.0, 0.001, 0.01))]
    rows = [path for dim in (16, 32, 64) for path in (
        run_of(tmp_path, f"plain{dim}", 3, "psc", uniformity=0.0, dim=dim, prototypes="learned"),
        run_of(tmp_path, f"weighted{dim}", 3, "psc", uniformity=0.01, dim=dim, prototypes="learned"),
        run_of(tmp_path, f"fixed{dim}", 3, "psc", uniformity=0.0, dim=dim, prototypes="fixed"),
        write(tmp_path, f"above{dim}", expression="psc/hyperspherical_psc", stages=[
            stage_of("psc", uniformity=0.0, dim=dim, prototypes="learned"), stage_of("hyperspherical_psc", dim=dim)]))]
    above = write(tmp_path, "above", expression="psc/hyperspherical_psc", stages=[
        stage_of("psc", uniformity=0.0, dim=None, prototypes="learned"), stage_of("hyperspherical_psc", dim=None)])
    assigned = run_of(tmp_path, "h", 2, reassign_every=0)
    elsewhere = write(tmp_path, "elsewhere", expression="h", task__dataset="cifar10-lt",
                      stages=[stage_of("hyperspherical", reassign_every=0)])
    drawing = uniformity(runs(*rows, above, elsewhere, *figure, assigned))
    assert [(line.label, line.x) for line in drawing.panels[0].series] == [
        ("psc with uniformity loss", [0.001, 0.01]), ("psc", []), ("hyperspherical, d = 2", [])]
    assert [line.y for line in drawing.panels[0].series] == [
        pytest.approx([100 / 12, 200 / 12]), [0], [pytest.approx(200 / 12)]]
    assert drawing.used is not None and {run.path for run in drawing.used} == {*figure, assigned}
    with pytest.raises(Lacking, match=r"that differ in nothing else .all are at 0.01."):
        uniformity(runs(*rows))


def dimension_runs(folder: Path) -> list[Path]:
    return [run_of(folder, f"{dynamic}{dim}", hits, dim=dim, dynamic=dynamic)
            for dynamic, dim, hits in ((True, 3, 2), (True, None, 3), (False, 3, 1), (False, None, 3))]


def test_dimensions(tmp_path: Path) -> None:
    series = dimensions(runs(*dimension_runs(tmp_path))).panels[0].series
    assert [(line.label, line.x) for line in series] == [("dynamic assignment", [2, 3]), ("fixed assignment", [2, 3])]
    assert [line.y for line in series] == [pytest.approx([25, 200 / 12]), pytest.approx([25, 100 / 12])]
    with pytest.raises(Lacking, match="dynamic=false"):
        dimensions(runs(*dimension_runs(tmp_path)[:2]))


def test_churn_and_the_whole_figure(tmp_path: Path) -> None:
    given = runs(*dimension_runs(tmp_path))
    drawing = churn(given[:1])
    assert drawing.panels[0].series[0].y == [0, 0.5, 0.25, 0]
    assert drawing.summary == {"hyperspherical(True3)": {"last epoch with a move": 2}}
    whole = figure4(given)
    assert [panel.title[:2] for panel in whole.panels] == ["a)", "b)"]
    assert [len(panel.series) for panel in whole.panels] == [2, 2]  # b has the dynamic runs only
    assert whole.used is not None and len(whole.used) == 4


def test_seconds_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_SIZES", (4, 8))
    series = seconds([]).panels[0].series[0]
    assert series.x == [4, 8] and all(value is not None and value > 0 for value in series.y)
