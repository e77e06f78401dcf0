from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ltbench
from ltbench.testing.scene import Scene, installed
from ltbench_hyperspherical import psc
from ltbench_hyperspherical.hyperspherical_psc import TrainedPrototypes, restart
from ltbench_hyperspherical.prototypes import estimate
from ltbench_hyperspherical.psc import ParametricSoftmax
from tests.plugins.ltbench_hyperspherical.test_hyperspherical import first_stage
from tests.support.stages import facts, later_stage, previous_stage, random_bank, softmax_loss, train


def test_by_hand() -> None:
    method = ParametricSoftmax(facts([3, 1]), uniformity=0.5)
    engine = first_stage(method)
    with torch.no_grad():
        engine.head.classifier.weight.copy_(torch.tensor([[2.0, 0.0], [-3.0, 0.0]]))
    output = engine.output(torch.tensor([[1.0, 5.0]]))
    torch.testing.assert_close(output.logits, torch.tensor([[2.0, -3.0]]))  # no bias, no normalization
    torch.testing.assert_close(method.criterion(output.logits, torch.tensor([1])), torch.tensor([softmax_loss([2.0, -3.0], 1)]))
    # antipodes: potentials 1 and exp(-2 * 4)
    (extra,) = method.extra_losses(engine.ctx, None).values()  # type: ignore[arg-type]
    assert float(extra.detach()) == pytest.approx(0.5 * math.log(1 + math.exp(-8)), rel=1e-4)
    assert method.measure(engine.ctx) == {"largest_cosine": pytest.approx(-1)}


def test_normalized_by_hand() -> None:
    method = ParametricSoftmax(facts([3, 1]), normalize=True, uniformity=0.5)
    engine = first_stage(method)
    with torch.no_grad():
        engine.head.classifier.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    torch.testing.assert_close(engine.output(torch.tensor([[3.0, 4.0]])).logits, torch.tensor([[0.6, 0.8]]))
    (extra,) = method.extra_losses(engine.ctx, None).values()  # type: ignore[arg-type]
    # two at right angles: potentials 1 and exp(-2 * 2), whatever their lengths
    assert float(extra.detach()) == pytest.approx(0.5 * math.log(1 + math.exp(-4)), rel=1e-4)
    scaled = first_stage(ParametricSoftmax(facts([3, 1]), normalize=True, scale=16.0))
    assert float(scaled.output(torch.randn(50, 2)).logits.abs().max().detach()) > 1


def test_the_least_loss_of_bare_cosines() -> None:
    # Features on the vertices of a simplex of 100: the right cosine is 1, the others -1/99.
    assert softmax_loss([1.0] + [-1 / 99] * 99, 0) == pytest.approx(3.6124, abs=5e-5)


def test_the_uniformity_loss_spreads_weight_vectors() -> None:
    bank = random_bank(8, 4, per_class=8)
    spreads = []
    for weight in (0.0, 5.0):
        torch.manual_seed(0)
        method = ParametricSoftmax(facts([8] * 8, feature_dim=4), dim=3, uniformity=weight)
        engine = first_stage(method)
        train(engine, bank, steps=60)
        spreads.append(method.measure(engine.ctx)["largest_cosine"])
    assert spreads[1] < spreads[0]


def test_many_classes_are_compared_by_a_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psc, "_SUBSET", 4)
    method = ParametricSoftmax(facts([2] * 9, feature_dim=3), uniformity=1.0)
    engine = first_stage(method)
    engine.ctx.generator.manual_seed(3)
    (extra,) = method.extra_losses(engine.ctx, None).values()  # type: ignore[arg-type]
    rows = torch.randperm(9, generator=torch.Generator().manual_seed(3))[:4]
    unit = F.normalize(engine.head.classifier.weight, dim=1)
    potentials = (-2 * torch.cdist(unit[rows], unit).square()).exp()
    torch.testing.assert_close(extra, (potentials.sum() / 4).log())


def test_fixed_prototypes_stay_under_cross_entropy() -> None:
    method = ParametricSoftmax(facts([8] * 5, feature_dim=4), dim=3, prototypes="fixed")
    engine = first_stage(method)
    losses = train(engine, random_bank(5, 4), steps=40)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(engine.head.classifier.weight, estimate(3, 5), atol=0, rtol=0)


@pytest.mark.parametrize(("options", "told"), [
    ({"dim": 1}, "dim must be >= 2 or none, got 1"), ({"uniformity": -0.1}, "uniformity must be >= 0, got -0.1"),
    ({"scale": 16.0}, "scale must be 1 without normalize, got 16"),
    ({"scale": 0.0, "normalize": True}, "scale must be > 0, got 0"),
    ({"uniformity": 0.1, "prototypes": "fixed"}, "uniformity must be 0 with fixed prototypes, got 0.1")])
def test_what_it_refuses(options: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ParametricSoftmax(facts([3, 2, 1]), **options)  # type: ignore[arg-type]


def below(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def test_trained_prototypes_are_the_directions_below() -> None:
    weight = 3 * torch.randn(4, 3)
    method = TrainedPrototypes(facts([4] * 4, feature_dim=5), dim=3)
    engine = later_stage(method, random_bank(4, 5), previous_stage(below(weight), 5, 4, nn.Linear(5, 3)))
    torch.testing.assert_close(engine.head.classifier.prototypes, F.normalize(weight, dim=1))
    assert not any(parameter.requires_grad for parameter in engine.head.classifier.parameters())


@pytest.mark.parametrize(("classifier", "told"), [
    (nn.Linear(5, 4), "dim must be 5, as in the stage before, got 3"),
    (ltbench.CosineClassifier(3, 4), "must be linear, got CosineClassifier")])
def test_another_classifier_below_is_refused(classifier: nn.Module, told: str) -> None:
    with pytest.raises(ltbench.UserError, match=told):
        later_stage(TrainedPrototypes(facts([4] * 4, feature_dim=5), dim=3), random_bank(4, 5), previous_stage(classifier, 5, 4))


def test_a_restart_draws_all_weights_anew() -> None:
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(64, 8))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    norm.running_mean += 7
    with torch.no_grad():
        norm.weight.fill_(3)
    torch.manual_seed(5)
    restart(network)
    after = network.state_dict()
    for name in ("0.weight", "3.weight", "3.bias"):
        assert not torch.equal(after[name], before[name])
    for name in ("1.weight", "1.bias", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(after[name], before[name])
    assert float(after["0.weight"].std()) == pytest.approx(math.sqrt(2 / 27), rel=0.1)  # Kaiming: gain^2 / fan-in


@pytest.mark.parametrize("anew", [True, False])
def test_a_stage_restarts_or_goes_on_from_the_weights_below(anew: bool, tmp_path: Path) -> None:
    engine, _, _ = Scene(installed()).build(f"psc/hyperspherical_psc(restart={str(anew).lower()})", tmp_path)
    assert engine.ctx.previous is not None
    pairs = list(zip(engine.backbone.modules(), engine.ctx.previous.backbone.modules(), strict=True))
    convolutions = [(own, old) for own, old in pairs if isinstance(own, nn.Conv2d) and isinstance(old, nn.Conv2d)]
    assert convolutions
    assert [torch.equal(own.weight, old.weight) for own, old in convolutions] == [not anew] * len(convolutions)


def test_defaults_of_the_paper() -> None:
    method = TrainedPrototypes(facts([4] * 4, feature_dim=5))
    assert (method.dim, method.restart, method.dynamic, method.reassign_every, method.momentum, method.renormalize) \
        == (5, True, True, 0, 0.9, False)
