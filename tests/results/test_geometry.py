from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import ltbench
from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.registry.catalog import Registered
from ltbench.results import records
from ltbench.results.geometry import class_statistics, plugin_figures
from tests.support import record_factory


def test_statistics_by_hand() -> None:
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    kept = class_statistics([(features[:1], torch.tensor([0])), (features[1:], torch.tensor([0, 2]))], 3)
    assert kept["class_counts"].tolist() == [2, 0, 1]
    assert kept["class_means"].tolist() == [[1, 0], [0, 0], [1, 1]]
    assert kept["class_variance"].tolist() == [1, 0, 0]  # (1 + 1) / 2; nothing; one image


def test_statistics_far_from_the_origin_in_uneven_chunks() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(500, 8, generator=generator) + 1e4
    labels = torch.randint(0, 7, (500,), generator=generator)
    chunks = [(features[a:b], labels[a:b]) for a, b in ((0, 3), (3, 200), (200, 201), (201, 500))]
    kept = class_statistics(chunks, 7)
    for k in range(7):
        own = features[labels == k].double()
        variance = ((own - own.mean(dim=0)) ** 2).sum(dim=1).mean()
        assert kept["class_variance"][k].item() == pytest.approx(variance.item(), rel=1e-5)
        assert torch.allclose(kept["class_means"][k].double(), own.mean(dim=0), atol=1e-3)


def figures(geometry: dict[str, Tensor]) -> dict[str, float]:
    return {"sum": float(geometry["class_means"].sum()), "rows": len(geometry["head.classifier.weight"])}


def broken(geometry: dict[str, Tensor]) -> dict[str, float]:
    raise KeyError("no such tensor")


def test_figures_of_the_last_stage_and_a_plugin_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {"stage1.class_means": torch.zeros(2, 2), "stage2.class_means": torch.ones(2, 2),
               "stage2.head.classifier.weight": torch.ones(2, 2), "train.features": torch.ones(1, 2)}
    specs = [ltbench.MetricSpec(name, f"tests.results.test_geometry:{name}", "s") for name in ("figures", "broken")]
    found = plugin_figures([Registered(spec, "p", "some-box", "1") for spec in specs], tensors)
    assert found == {"figures": {"sum": 4.0, "rows": 2.0}}
    assert "metric 'broken' of some-box is left out: KeyError" in capsys.readouterr().err


def test_written_and_read(tmp_path: Path) -> None:
    given = record_factory.predictions()
    tensors = {"stage1.class_means": torch.arange(6.0).reshape(2, 3).T}  # not contiguous
    path = record_factory.write(record_factory.record(given), given, tmp_path, "run", tensors)
    assert torch.equal(ltbench.read_geometry(path)["stage1.class_means"], tensors["stage1.class_means"])
    file = tmp_path / "run.geometry.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(UserError, match="is not the one that its record names"):
        ltbench.read_geometry(path)
    file.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        ltbench.read_geometry(path)
    record_factory.write(record_factory.record(given), given, tmp_path, "run")
    with pytest.raises(UserError, match="keeps no geometry"):
        ltbench.read_geometry(path)


def run(out: Path, *arguments: str) -> Path:
    code = main(["run", "--protocol", "smoke", "--seeds", "0", "--out", str(out), "--cache", str(out / "cache"), "--threads", "1",
                 *arguments])
    assert code == 0
    return next(out.glob("*.json"))


def test_a_run_keeps_what_it_says(tmp_path: Path) -> None:
    path = run(tmp_path, "--methods", "ce/prototype")
    kept = ltbench.read_geometry(path)
    record = ltbench.read_record(path)
    assert {"stage1.class_means", "stage1.head.classifier.weight", "stage2.head.classifier.prototypes"} <= kept.keys()
    assert kept["stage1.class_counts"].tolist() == [min(n, 10) for n in record.split.class_counts]
    assert torch.equal(kept["stage1.class_means"], kept["stage2.class_means"])  # the backbone is frozen
    assert not any(name.startswith("train.") for name in kept)
    run(tmp_path, "--methods", "ce/prototype", "--keep", "features")  # run again: the record holds less than is asked
    more = ltbench.read_geometry(path)
    assert ltbench.read_record(path).geometry.holds == "features"
    means = ltbench.class_means(more["train.features"], more["train.labels"], 10)
    assert torch.allclose(means, more["stage2.class_means"], atol=1e-5)
    assert more["test.labels"].bincount().tolist() == record.split.test_counts
    assert records.equal(record, ltbench.read_record(path)) == []  # what is kept beside says nothing of what came out


def test_a_queue_of_images_is_not_kept(tmp_path: Path) -> None:
    kept = ltbench.read_geometry(run(tmp_path / "many", "--methods", "fcl(queue=400)"))
    assert not any(name.startswith("stage1.methods.fcl.queue") for name in kept)
    few = ltbench.read_geometry(run(tmp_path / "few", "--methods", "fcl(queue=320)"))  # 32 rows for each of ten classes
    assert few["stage1.methods.fcl.queue"].shape == (320, 128)


def test_a_run_may_keep_nothing(tmp_path: Path) -> None:
    path = run(tmp_path, "--methods", "ce", "--keep", "nothing")
    assert ltbench.read_record(path).geometry is None
    assert not list(tmp_path.glob("*.safetensors"))


def test_noise_on_test_images(tmp_path: Path) -> None:
    clean = ltbench.read_record(run(tmp_path / "clean", "--methods", "ce"))
    noisy = ltbench.read_record(run(tmp_path / "noisy", "--methods", "ce", "--test-noise", "5"))
    same = ltbench.read_record(run(tmp_path / "again", "--methods", "ce", "--test-noise", "5"))
    assert noisy.protocol.eval_noise == 5 and noisy.protocol.name == "smoke"
    assert records.equal(noisy, same) == []
    assert noisy.stages[0].key == clean.stages[0].key
    assert noisy.metrics.test_loss != clean.metrics.test_loss


def test_features_are_of_the_last_stage_alone(tmp_path: Path) -> None:
    kept = ltbench.read_geometry(run(tmp_path, "--methods", "iccl/crt", "--keep", "features"))
    assert {"train.features", "test.features", "stage1.methods.iccl.centroids"} <= kept.keys()
    assert not {"train.projection", "test.projection"} & kept.keys()  # which the head of the first stage gives


def test_a_backbone_of_ones_own_needs_no_head(tmp_path: Path) -> None:
    from ltbench.backbones.digits import build
    from ltbench.backbones.request import BackboneRequest

    torch.save(build(BackboneRequest("digits", 1, 8)).state_dict(), tmp_path / "own.pt")
    path = run(tmp_path, "--methods", "ce/ncm", "--stage1", str(tmp_path / "own.pt"))
    assert ltbench.read_record(path).status == "completed"
    assert {name.partition(".")[0] for name in ltbench.read_geometry(path)} == {"stage2"}


@pytest.mark.parametrize("text", ["ce/post_la", "ce/tau_norm"])
def test_what_only_measures_changes_nothing(text: str, tmp_path: Path) -> None:
    plain = ltbench.read_record(run(tmp_path / "plain", "--methods", text))
    watched = ltbench.read_record(run(tmp_path / "watched", "--methods", f"{text}+learning_curve"))
    assert watched.predictions.sha256 == plain.predictions.sha256
    assert "train_few" in watched.curve[-1].as_dict() and watched.curve[-1].epoch == 0
