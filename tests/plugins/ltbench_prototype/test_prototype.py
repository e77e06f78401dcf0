from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltbench.method.context import Bank
from ltbench.method.heads import DistanceClassifier
from ltbench.method.stack import Stack
from ltbench.training.engine import Engine
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.stages import facts, later_stage, random_bank, softmax_loss, train


def classifier_of(engine: Engine) -> DistanceClassifier:
    classifier = engine.head.classifier
    assert isinstance(classifier, DistanceClassifier)
    return classifier


def test_by_hand() -> None:
    bank = Bank(torch.tensor([[2.0, 4.0], [4.0, 4.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    method = PrototypeClassifier(facts([16, 1]))
    logits = later_stage(method, bank).output(torch.zeros(2, 2)).logits
    torch.testing.assert_close(logits, torch.tensor([[-2.5, -0.5]] * 2))  # eq. 1: centroids (3, 4) and (0, 1)
    # eq. 5: log(16) / 4 = log 2 is added to the first logit, 0 to the second
    expected = [softmax_loss([-2.5 + math.log(2), -0.5], label) for label in (0, 1)]
    torch.testing.assert_close(method.criterion(logits, torch.tensor([0, 1])), torch.tensor(expected))


def test_temperatures_divide_the_squared_difference_of_a_channel() -> None:
    bank = Bank(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    engine = later_stage(PrototypeClassifier(facts([1, 1])), bank)
    classifier = classifier_of(engine)
    torch.testing.assert_close(classifier.temperatures, torch.ones(2))  # algorithm 1
    classifier.log_temperatures.data = torch.tensor([9.0, 4.0]).log()  # type: ignore[union-attr]
    # eq. 4: sqrt(9/9 + 16/4) and sqrt(0/9 + 1/4)
    torch.testing.assert_close(engine.output(torch.zeros(1, 2)).logits, torch.tensor([[-0.5 * math.sqrt(5), -0.25]]))


def test_squared_distance_is_a_softmax_whose_bias_takes_the_norm_back() -> None:
    # Section 3.3: weight c, bias -|c|^2 / 2.
    bank, x = random_bank(5, 6), torch.randn(20, 6)
    engine = later_stage(PrototypeClassifier(facts([8] * 5, 6), distance="squared"), bank)
    c = classifier_of(engine).prototypes.detach()
    torch.testing.assert_close(engine.predict(x).softmax(dim=1), (x @ c.T - 0.5 * c.square().sum(dim=1)).softmax(dim=1))


def test_adjustment_is_for_training_only() -> None:
    bank = random_bank(3, 4)
    engine = later_stage(PrototypeClassifier(facts([500, 50, 5], 4), tau=1.0), bank)
    assert torch.equal(engine.predict(bank.embedding), engine.output(bank.embedding).logits)


def test_parameter_groups() -> None:
    engine = later_stage(PrototypeClassifier(facts([8, 8], 4)), random_bank(2, 4))
    method, classifier = engine.stack.methods[0], classifier_of(engine)
    prototypes, temperatures = method.parameter_groups(engine.ctx)
    assert list(prototypes.parameters) == [classifier.prototypes]
    assert (prototypes.lr, prototypes.weight_decay) == (4.0, 0.0)
    assert list(temperatures.parameters) == [classifier.log_temperatures]
    assert (temperatures.lr, temperatures.weight_decay) == (0.005, 0.0)
    assert sum(p.requires_grad for p in engine.parameters()) == 2

    bare = later_stage(PrototypeClassifier(facts([8, 8], 4), cdt=False, lr=4.2), random_bank(2, 4))
    (only,) = bare.stack.methods[0].parameter_groups(bare.ctx)
    assert only.lr == 4.2 and classifier_of(bare).log_temperatures is None
    public = later_stage(PrototypeClassifier(facts([8, 8], 4), temperature_lr=0.01, temperature_weight_decay=2e-4),
                         random_bank(2, 4))
    decayed = public.stack.methods[0].parameter_groups(public.ctx)[1]
    assert (decayed.lr, decayed.weight_decay) == (0.01, 2e-4)


def test_paper_rate_is_stable_on_digits(digits_batch: tuple[Tensor, Tensor]) -> None:
    images, labels = digits_batch
    bank = Bank(4 * images.flatten(1), labels)  # norms about 14, as features have them
    method = PrototypeClassifier(facts(torch.bincount(labels).tolist(), 64), tau=0.0)
    engine = later_stage(method, bank)

    def figures() -> tuple[float, float]:
        with torch.no_grad():
            logits = engine.predict(bank.embedding)
            return float(method.criterion(logits, labels).mean()), float((logits.argmax(dim=1) == labels).float().mean())

    loss, accuracy = figures()
    losses = train(engine, bank, 100, batch_size=128)
    assert max(losses) < 1.2 * losses[0]  # no step overshoots
    learned_loss, learned_accuracy = figures()
    assert learned_loss < 0.6 * loss
    assert learned_accuracy > accuracy + 0.02


def test_batches_of_one_class_and_samples_on_a_prototype_train_on() -> None:
    bank = Bank(torch.tensor([[1.0, 2.0], [3.0, 1.0]]), torch.tensor([0, 1]))  # every sample is its centroid: distance 0
    engine = later_stage(PrototypeClassifier(facts([1, 1])), bank)
    train(engine, bank, 5, batch_size=1)
    assert all(p.isfinite().all() for p in engine.parameters())


@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine"])
def test_a_class_without_images_is_finite(distance: str) -> None:
    bank = Bank(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
    engine = later_stage(PrototypeClassifier(facts([1, 1, 0]), distance=distance), bank)  # type: ignore[arg-type]
    torch.testing.assert_close(classifier_of(engine).prototypes[2], torch.tensor([2.0, 1.0]))
    assert all(math.isfinite(value) for value in train(engine, bank, 5, batch_size=2))
    assert engine.predict(bank.embedding).isfinite().all()


def test_centroids_of_the_chosen_view() -> None:
    banks = {"plain": Bank(torch.zeros(2, 2), torch.tensor([0, 1])), "augmented": Bank(torch.ones(2, 2), torch.tensor([0, 1]))}
    for view in ("plain", "augmented"):
        engine = later_stage(PrototypeClassifier(facts([1, 1]), centroid_view=view), banks["plain"])  # type: ignore[arg-type]
        engine.ctx._read_features = lambda split, name: banks[name]
        engine.stack.methods[0].fit(engine.ctx)
        assert torch.equal(classifier_of(engine).prototypes, banks[view].embedding)


def test_inputs() -> None:
    assert Stack([PrototypeClassifier(facts([1, 1]))], 2).inputs == "features"
    assert Stack([PrototypeClassifier(facts([1, 1]), inputs="images")], 2).inputs == "images"


@pytest.mark.parametrize("name", ["tau", "temperature_weight_decay"])
def test_refuses_negative_values(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be >= 0, got -1"):
        PrototypeClassifier(facts([1, 1]), **{name: -1})


@pytest.mark.parametrize("name", ["lr", "temperature_lr"])
def test_refuses_rates_that_are_not_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be > 0, got 0"):
        PrototypeClassifier(facts([1, 1]), **{name: 0})
