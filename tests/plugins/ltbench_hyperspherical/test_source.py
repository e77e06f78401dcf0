"""What stands around the loss in the source: a sum over the batch, a batch norm as the head, weights from the batch."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import ltbench
from ltbench.data.batch import Batch
from ltbench.training.engine import Engine
from ltbench_hyperspherical.etf import SimplexETF
from ltbench_hyperspherical.fixed import FixedPrototypes
from ltbench_hyperspherical.hpn import HypersphericalPrototypeNetwork
from ltbench_hyperspherical.hyperspherical import Hyperspherical
from tests.plugins.ltbench_hyperspherical.test_hyperspherical import first_stage
from tests.support.stages import facts


def logits(cosines: list[float], labels: list[int], classes: int) -> Tensor:
    """Return logits whose labels have these cosines."""
    found = torch.zeros(len(cosines), classes)
    found[torch.arange(len(cosines)), torch.tensor(labels)] = torch.tensor(cosines)
    return found


def batch_of(labels: list[int], everything: list[int] | None = None, first: int = 0) -> Batch:
    own, whole = torch.tensor(labels), torch.tensor(everything or labels)
    return Batch(None, own, [(own, 1.0)], torch.arange(len(labels)), whole, chunks=len(whole) // len(own), first=first)


@pytest.mark.parametrize(("kind", "mean"), [
    (SimplexETF, 0.3125), (Hyperspherical, 0.3125), (HypersphericalPrototypeNetwork, 0.625)])
def test_sum_and_mean_by_hand(kind: type[FixedPrototypes], mean: float) -> None:
    given = logits([0.5, 0.0], [0, 1], 3)
    for reduction, expected in (("sum", 1.25), ("mean", mean)):  # .25 + 1; half of their mean, or their mean
        engine = first_stage(kind(facts([5, 5, 5]), reduction=reduction))
        assert float(engine.ctx.loss(given, batch_of([0, 1]))) == pytest.approx(expected)


def test_a_sum_does_not_depend_on_the_parts_of_a_batch() -> None:
    engine = first_stage(Hyperspherical(facts([5, 5, 5]), reduction="sum", weights="batch"))
    labels, cosines = [0, 0, 1, 0], [1.0, 0.5, 0.5, 0.0]
    whole = engine.ctx.loss(logits(cosines, labels, 3), batch_of(labels))
    parts = [engine.ctx.loss(logits(cosines[i:i + 2], labels[i:i + 2], 3), batch_of(labels[i:i + 2], labels, i)) for i in (0, 2)]
    assert float(whole) == pytest.approx(float(sum(parts) / 2))  # the loop takes the mean over parts
    assert float(whole) == pytest.approx(2 / 3 * 1.25 + 2 * 0.25)


def test_weights_of_a_batch_by_hand() -> None:
    method = Hyperspherical(facts([50, 5, 1]), weights="batch")
    engine = first_stage(method)
    loss = engine.ctx.loss(logits([1.0, 0.5, 0.0, 0.5], [0, 0, 0, 1], 3), batch_of([0, 0, 0, 1]))
    weights = method.class_weights(engine.ctx)
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0, 0.0]))  # (B / U) / n of the batch
    assert float(loss) == pytest.approx(1 / 6)  # half of the mean over classes: (1.25 / 3 + .25) / 4


def test_batch_norm_by_hand() -> None:
    engine = first_stage(Hyperspherical(facts([5, 5], feature_dim=2), dim=2, head="batch_norm"))
    features = engine.output(torch.tensor([[1.0, 3.0], [3.0, 7.0]])).features
    torch.testing.assert_close(features, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-4, rtol=0)
    assert isinstance(engine.head.projection, nn.BatchNorm1d)
    assert sum(parameter.numel() for parameter in engine.head.parameters()) == 4  # scales and shifts, no linear layer


def test_a_linear_layer_leads_to_another_width() -> None:
    for kind in (Hyperspherical, SimplexETF, HypersphericalPrototypeNetwork):
        engine = first_stage(kind(facts([5, 5, 5], feature_dim=8), dim=4, head="batch_norm"))
        linear, norm = engine.head.projection
        assert isinstance(linear, nn.Linear) and linear.bias is None
        assert isinstance(norm, nn.BatchNorm1d) and norm.num_features == 4


def test_a_batch_of_one_is_told_apart() -> None:
    engine = first_stage(SimplexETF(facts([5, 5], feature_dim=2), dim=2, head="batch_norm"))
    with pytest.raises(ltbench.UserError, match="head=batch_norm needs 2 images or more in each part of a batch, got 1"):
        engine.output(torch.randn(1, 2))
    assert engine.eval().output(torch.randn(1, 2)).logits.shape == (1, 2)


def test_batch_norm_takes_away_what_all_features_share() -> None:
    """Behind a ReLU all features point one way: so do their projections, and a batch norm's do not."""
    spread = {}
    for head in ("linear", "batch_norm"):
        torch.manual_seed(0)
        engine = first_stage(Hyperspherical(facts([5] * 10, feature_dim=64), dim=64, head=head))
        unit = nn.functional.normalize(engine.output(5 + torch.randn(200, 64)).features.detach(), dim=1)
        spread[head] = float(unit.mean(dim=0).norm())  # 1 where all directions are one, 0 where they are even
    assert spread["linear"] > 0.9 and spread["batch_norm"] < 0.01


def saved(folder: Path, columns: Tensor, key: str = "w") -> str:
    torch.save({key: columns}, folder / "made.pth")
    return "made.pth"


def stage_on(name: str, digits: str, dim: int = 2) -> Engine:
    return first_stage(Hyperspherical(facts([5, 5, 5]), dim=dim, recipe="file", prototypes_file=name, prototypes_sha256=digits))


def test_prototypes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    third = math.sqrt(0.75)
    columns = torch.tensor([[1.0, -0.5, -0.5], [0.0, third, -third]])
    name = saved(tmp_path, columns)
    with pytest.raises(ltbench.UserError, match="prototypes_sha256 must be ") as told:
        stage_on(name, "0" * 16)
    digits = str(told.value).split("must be ")[1][:16]
    torch.testing.assert_close(stage_on(name, digits).head.classifier.prototypes, columns.T)
    with pytest.raises(ltbench.UserError, match=r"a tensor w of shape \(3, 3\) \(d, C\), got \(2, 3\)"):
        stage_on(name, digits, dim=3)
    with pytest.raises(ltbench.UserError, match="must be a file that can be read, got other.pth"):
        stage_on("other.pth", digits)
    for place in (str(tmp_path / name), f"../{name}"):
        with pytest.raises(ltbench.UserError, match="must be below the folder"):
            stage_on(place, digits)


def test_columns_as_the_released_ones_are_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 prototypes in 3 dimensions some have length .9986, others 1.0009; the public code scales what it reads."""
    monkeypatch.chdir(tmp_path)
    name = saved(tmp_path, torch.eye(3) * torch.tensor([0.9986, 1.0009, 1.0]))
    with pytest.raises(ltbench.UserError, match="prototypes_sha256 must be ") as told:
        stage_on(name, "0" * 16, dim=3)
    engine = stage_on(name, str(told.value).split("must be ")[1][:16], dim=3)
    torch.testing.assert_close(engine.head.classifier.prototypes, torch.eye(3))


@pytest.mark.parametrize(("write", "told"), [
    (lambda folder: saved(folder, 2 * torch.eye(2, 3)), "columns of length 1"),
    (lambda folder: saved(folder, torch.eye(2, 3), "v"), "a tensor w of shape"),
    (lambda folder: (folder / "made.pth").write_bytes(b"nothing of torch's"), "tensors saved by torch")])
def test_another_file_is_refused(write: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)  # type: ignore[operator]
    with pytest.raises(ltbench.UserError, match="prototypes_sha256 must be ") as found:
        stage_on("made.pth", "0" * 16)
    with pytest.raises(ltbench.UserError, match=told):
        stage_on("made.pth", str(found.value).split("must be ")[1][:16])


@pytest.mark.parametrize("options", [
    {"recipe": "file"}, {"prototypes_file": "made.pth"}, {"recipe": "file", "prototypes_file": "a"}])
def test_a_file_has_a_hash(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="go together: give all of them or none"):
        Hyperspherical(facts([5, 5, 5]), **options)  # type: ignore[arg-type]
