"""The named rows of table 1, and the public code's choices."""

from __future__ import annotations

import pytest
import torch

from ltbench.method import hyperparameters
from ltbench.method.heads import DistanceClassifier
from ltbench.method.values import Facts
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.methods import named
from tests.support.stages import facts, later_stage, random_bank, train

COUNTS = [16, 1]
VARIANTS = [(named("pc"), False, False), (named("pc_cdt"), True, False), (named("pc_la"), False, True),
            (PrototypeClassifier, True, True)]


@pytest.mark.parametrize(("kind", "cdt", "la"), VARIANTS)
def test_what_each_name_adds(kind: type[PrototypeClassifier], cdt: bool, la: bool) -> None:
    method = kind(facts(COUNTS))
    engine = later_stage(method, random_bank(2, 2))
    classifier = engine.head.classifier
    assert isinstance(classifier, DistanceClassifier)
    assert (classifier.log_temperatures is not None) == cdt
    # tau log N: log(16) / 4 = log 2 or nothing
    torch.testing.assert_close(method.shift, torch.tensor([2.0, 1.0]).log() if la else torch.zeros(2))
    assert len(method.parameter_groups(engine.ctx)) == 1 + cdt
    assert method.centroid_view == "plain"  # algorithm 1 augments no image before its centroids


@pytest.mark.parametrize(("kind", "cdt", "la"), VARIANTS)
def test_each_name_is_prototype_with_options(kind: type[PrototypeClassifier], cdt: bool, la: bool) -> None:
    bank = random_bank(3, 4)
    known = facts([30, 10, 2], 4)
    named = later_stage(kind(known), bank)
    spelled = later_stage(PrototypeClassifier(known, cdt=cdt, tau=0.25 if la else 0.0), bank)
    assert train(named, bank, 5) == train(spelled, bank, 5)
    assert torch.equal(named.predict(bank.embedding), spelled.predict(bank.embedding))


def test_options_reach_the_method() -> None:
    known = facts(COUNTS)
    options = {"distance": "cosine", "lr": 1.5, "inputs": "images", "centroid_view": "augmented", "draws": 7, "mirror": True}
    for kind, _, _ in VARIANTS:
        method = hyperparameters.build(kind, known, hyperparameters.resolve(kind, options))
        assert isinstance(method, PrototypeClassifier)
        assert {name: getattr(method, name) for name in options} == options
    for adjusted in (named("pc_la"), PrototypeClassifier, named("prototype_public")):
        torch.testing.assert_close(adjusted(known, tau=0.5).shift, torch.tensor([4.0, 1.0]).log())
    for tempered in (named("pc_cdt"), PrototypeClassifier, named("prototype_public")):
        method = tempered(known, temperature_lr=0.1, temperature_weight_decay=0.2)
        assert (method.temperature_lr, method.temperature_weight_decay) == (0.1, 0.2)


def test_public_codes_choices() -> None:
    method = named("prototype_public")(facts([round(2.718281828 ** 3.8), 1]))
    assert (method.lr, method.temperature_lr, method.temperature_weight_decay) == (4.2, 0.005, 2e-4)
    assert method.cdt and method.centroid_view == "augmented"
    torch.testing.assert_close(method.shift, torch.tensor([1.0, 0.0]), atol=0.01, rtol=0)
    assert method.protocol_overrides() == {}  # draws and views are the paper track's: the common one has equal terms


def test_draws_and_mirror_are_changes_of_the_protocol() -> None:
    known = facts(COUNTS)
    assert PrototypeClassifier(known).protocol_overrides() == {}
    assert PrototypeClassifier(known, draws=50_000, mirror=True).protocol_overrides() == {
        "stage2_samples": 50_000, "eval_flip": True}
    assert PrototypeClassifier(known, mirror=False).protocol_overrides() == {"eval_flip": False}


@pytest.mark.parametrize("kind", [kind for kind, _, _ in VARIANTS])
def test_refuses_draws_below_one(kind: type[PrototypeClassifier]) -> None:
    with pytest.raises(ValueError, match="draws must be >= 1 or none, got 0"):
        kind(Facts(torch.tensor([1, 1]), 2, 1), draws=0)
