"""The scale of a distance, and vectors that have no direction (section 4.4's cosine distance)."""

from __future__ import annotations

import math

import pytest
import torch

from ltbench.errors import UserError
from ltbench.method.context import Bank
from ltbench.method.distances import cosine_distance
from ltbench.method.heads import DistanceClassifier
from ltbench.method.kinds import kind_of
from ltbench_prototype.prototype import PrototypeClassifier
from tests.support.methods import named
from tests.support.stages import facts, later_stage, random_bank

AXES = torch.eye(2)


def cosine_head(scale: float = 1.0, *, learned: bool = False) -> DistanceClassifier:
    head = DistanceClassifier(2, 2, "cosine", scale=scale, learn_scale=learned)
    head.prototypes.data.copy_(AXES)
    return head


@pytest.mark.parametrize(("scale", "loss"), [(1.0, 0.474077), (16.0, 3.3541e-4)])  # log(1 + e^-0.5) and log(1 + e^-8)
def test_by_hand(scale: float, loss: float) -> None:
    bank = Bank(AXES, torch.tensor([0, 1]))
    method = PrototypeClassifier(facts([1, 1]), distance="cosine", distance_scale=scale)
    engine = later_stage(method, bank)
    found = method.criterion(engine.output(AXES[:1]).logits, torch.tensor([0]))
    torch.testing.assert_close(found, torch.tensor([loss]), rtol=1e-4, atol=0)


def test_a_scale_multiplies_and_one_changes_no_bit() -> None:
    x, head = torch.randn(5, 3), DistanceClassifier(3, 4)
    plain = head(x)
    head.fixed_scale = 4.0
    assert torch.equal(head(x), 4 * plain)
    head.log_scale = torch.nn.Parameter(torch.tensor(0.5).log())
    torch.testing.assert_close(head(x), 0.5 * plain)
    with pytest.raises(UserError, match="scale must be > 0, got 0"):
        DistanceClassifier(3, 4, scale=0)
    assert kind_of(DistanceClassifier(3, 4)) == "centroids"
    assert kind_of(DistanceClassifier(3, 4, scale=2.0)) == kind_of(DistanceClassifier(3, 4, learn_scale=True)) != "centroids"


def test_what_is_learned_of_a_scale() -> None:
    head = cosine_head(16.0, learned=True)
    head(torch.tensor([[1.0, 1.0]]))[0, 0].backward()
    # The logit is -scale / 2 (1 - cos 45): its slope in log scale is the logit.
    assert head.log_scale is not None and head.log_scale.grad is not None
    assert float(head.log_scale.grad) == pytest.approx(-8 * (1 - math.sqrt(0.5)), rel=1e-5)
    method = PrototypeClassifier(facts([8, 8], 4), distance="cosine", distance_scale=16.0, learn_scale=True)
    engine = later_stage(method, random_bank(2, 4))
    *_, last = method.parameter_groups(engine.ctx)
    assert list(last.parameters) == [engine.head.classifier.log_scale]  # type: ignore[union-attr]
    assert (last.lr, last.weight_decay) == (0.005, 0.0)
    fixed = PrototypeClassifier(facts([8, 8], 4), distance="cosine", distance_scale=16.0)
    assert len(fixed.parameter_groups(later_stage(fixed, random_bank(2, 4)).ctx)) == 2


def test_the_letter_cannot_part_the_classes_at_ratio_100() -> None:
    """Eq. 1's logits span 1 with a cosine of 0 to 1; the adjustment of 500 against 5 images is worth more."""
    shift = named("pc_la")(facts([500, 5])).shift
    assert float(shift[0] - shift[1]) == pytest.approx(1.1513, abs=1e-4)
    logits = cosine_head()(AXES[1:])  # lies on the small class's prototype
    assert (logits + shift).argmax() == 0
    assert (cosine_head(16.0)(AXES[1:]) + shift).argmax() == 1


def test_a_short_vector_by_hand() -> None:
    """Below .02, a hundredth of the prototypes' mean length, a vector of length .005 has a quarter of its cosine; 0 has none."""
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.003, 0.004]], requires_grad=True)
    c = torch.tensor([[5.995, 0.0], [0.0, 0.0], [0.005, 0.0]], requires_grad=True)
    found = cosine_distance(x, c)
    torch.testing.assert_close(found, torch.tensor([[0.4, 1.0, 0.85], [1.0, 1.0, 1.0], [0.85, 1.0, 0.9625]]))
    torch.autograd.backward(found[0].sum())
    assert c.grad is not None
    torch.testing.assert_close(c.grad, torch.tensor([[0.0, -0.8 / 5.995], [-30.0, -40.0], [-30.0, -40.0]]))  # -(.6, .8) / .02


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-9, 2e-6, 1e-4, 0.0099, 0.0101, 0.1])
def test_a_short_prototype_comes_back_and_stays_among_the_others(length: float) -> None:
    """Plain slopes of 1 / length throw one of 2e-6 to 10,000 times the others' length in the first of these steps."""
    torch.manual_seed(0)
    c = torch.nn.functional.normalize(torch.randn(6, 8), dim=1)
    x, labels = c + 0.1 * torch.randn(6, 8), torch.arange(6)
    c[3] = length * torch.nn.functional.normalize(torch.randn(8), dim=0)
    c.requires_grad_()
    optimizer = torch.optim.SGD([c], lr=0.1, momentum=0.9)
    for _ in range(200):
        loss = torch.nn.functional.cross_entropy(-4 * cosine_distance(x, c), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        assert float(c.detach().norm(dim=1).max()) < 100
    assert torch.equal(cosine_distance(x, c).argmin(dim=1), labels)


def test_a_class_whose_centroid_is_the_origin_starts_among_the_others() -> None:
    embedding = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    labels = torch.tensor([0, 0, 1, 2])  # class 0 has the mean (0, 0)
    for distance, start in (("cosine", [1.0, 2.0]), ("euclidean", [0.0, 0.0])):
        method = PrototypeClassifier(facts([2, 1, 1]), distance=distance)  # type: ignore[arg-type]
        classifier = later_stage(method, Bank(embedding, labels)).head.classifier
        assert isinstance(classifier, DistanceClassifier)
        assert classifier.prototypes[0].tolist() == start


def test_the_public_code_lets_batch_norm_drift_in_the_paper_track() -> None:
    from ltbench.terms.task import Task

    public = named("prototype_public")
    setting = public.paper(Task("cifar100-lt", 100.0))
    assert setting is not None and setting.hyperparameters == {"inputs": "images", "batch_norm_drift": True}
    drifting = public(facts([2, 1]), batch_norm_drift=True)
    assert (drifting.inputs, drifting.backbone) == ("images", "drifting")
    assert (public(facts([2, 1])).inputs, public(facts([2, 1])).backbone) == (None, None)
    assert PrototypeClassifier.paper(Task("cifar100-lt", 100.0)).hyperparameters == {"inputs": "images"}  # type: ignore[union-attr]
