"""One real run on the digits, from training to figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ltbench
from ltbench.cli.main import main
from ltbench.method.class_distances import class_distance_normalized_variance
from ltbench.results.records import load_predictions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of two runs of two stages each."""
    out = tmp_path_factory.mktemp("runs")
    code = main(["run", "--protocol", "smoke", "--dataset", "digits-lt", "--methods", "ce/lncm,ce/crt", "--seeds", "0",
                 "--threads", "1", "--keep", "features", "--out", str(out), "--cache", str(out / "cache")])
    assert code == 0
    return out


def record_of(folder: Path, expression: str) -> Path:
    return next(path for path in folder.glob("*.json") if ltbench.read_record(path).expression == expression)


def test_metrics_stand_in_the_record(folder: Path) -> None:
    path = record_of(folder, "ce/lncm")
    record, kept = ltbench.read_record(path), ltbench.read_geometry(path)
    assert record.metrics is not None
    extra = record.metrics.extra
    assert set(extra) >= {"norms", "smallest_angles", "collapse"}
    prototypes = kept["stage2.head.classifier.prototypes"].double().norm(dim=1)
    assert extra["norms"]["prototypes"] == pytest.approx(float(prototypes.std(correction=0) / prototypes.mean()))
    assert extra["collapse"]["cdnv"] == pytest.approx(
        class_distance_normalized_variance(kept["stage2.class_means"], kept["stage2.class_variance"]))
    # What the method measures itself, after the last epoch.
    assert extra["collapse"]["cdnv_prototypes"] == pytest.approx(record.curve[-1].as_dict()["cdnv"], rel=1e-5)


@pytest.mark.slow
def test_figures(folder: Path, tmp_path: Path) -> None:
    assert main(["analyze", str(folder), "--figure", "prototype.2,learned-ncm.2,learned-ncm.6,iccl.2,nc.2,nc.3,neural-collapse",
                 "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("*.svg"))) == len(list(tmp_path.glob("*.png"))) == 7
    data = json.loads((tmp_path / "neural-collapse.json").read_text())
    path = record_of(folder, "ce/crt")
    record, kept = ltbench.read_record(path), ltbench.read_geometry(path)
    predictions = load_predictions(path, record)
    assert predictions is not None
    nearest = torch.cdist(kept["test.features"].double(), kept["stage2.class_means"].double()).argmin(dim=1)
    wrong = (nearest != torch.from_numpy(predictions.argmax)).double().mean()
    assert data["summary"]["ce/crt"]["nc4_test"] == pytest.approx(float(wrong))
    # The linear head's own decision on test features is what the run answered.
    logits = kept["test.features"] @ kept["stage2.head.classifier.weight"].T + kept["stage2.head.classifier.bias"]
    assert torch.equal(logits.argmax(dim=1), torch.from_numpy(predictions.argmax))
