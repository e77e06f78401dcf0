from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.method.context import Bank, Context
from ltbench.method.contract import Method
from ltbench.method.factories import HeadFactory
from ltbench.method.stack import Stack
from ltbench.method.values import Seen
from ltbench.testing.scene import SEED, Scene, installed
from ltbench.training.engine import Engine
from ltbench.training.files import load_tensors
from ltbench_baselines.mixup import Mixup
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_hyperspherical.assignment import assign
from ltbench_hyperspherical.fixed import UnitPrototypes
from ltbench_hyperspherical.hyperspherical import Hyperspherical
from ltbench_hyperspherical.prototypes import Recipe, estimate
from tests.support.stages import PROTOCOL, facts, random_bank, train


def first_stage(*methods: Method) -> Engine:
    """Return a first stage on features, set up."""
    stack = Stack(methods, 1)
    known = methods[0].facts
    make = HeadFactory(stack.owner("make_classifier").make_classifier, known.feature_dim, known.num_classes)
    engine = Engine(nn.Identity(), stack.owner("build_head").build_head(make), stack,
                    lambda engine: Context(engine, stack, known, PROTOCOL, None, torch.device("cpu"), _no_features,
                                           lambda rows: rows))
    for method in methods:
        method.setup(engine.ctx)
    return engine


def _no_features(split: str, view: str) -> Bank:
    raise AssertionError("nothing here reads a bank")


def seen(features: Tensor, labels: list[int]) -> Seen:
    return Seen(features, torch.tensor(labels), torch.arange(len(labels)))


def test_loss_by_hand() -> None:
    method = Hyperspherical(facts([5, 5, 5], feature_dim=2), dim=2)
    losses = method.criterion(torch.tensor([[0.5, 0.1, -1.0], [0.0, 0.2, -1.0]]), torch.tensor([0, 2]))
    torch.testing.assert_close(losses, torch.tensor([0.125, 2.0]))  # eq. 6: (.5 - 1)^2 / 2 and (-1 - 1)^2 / 2


def test_only_the_own_prototype_pulls() -> None:
    classifier = UnitPrototypes(2, 3)
    classifier.prototypes.copy_(estimate(2, 3))
    method = Hyperspherical(facts([5, 5, 5]), dim=2)
    feature = F.normalize(torch.randn(1, 2), dim=1).requires_grad_()
    method.criterion(classifier(feature), torch.tensor([1])).backward()
    own = classifier.prototypes[1]
    cosine = feature.detach()[0] @ own
    # Eq. 7, with the prototype as the direction, less its part along the feature, which the normalization takes away.
    expected = -(1 - cosine) * (own - cosine * feature.detach()[0])
    assert feature.grad is not None
    torch.testing.assert_close(feature.grad[0], expected)


def test_weighted_and_mixed_loss_equals_a_loop() -> None:
    known = facts([40, 10, 2, 1], feature_dim=3)
    method = Hyperspherical(known, dim=3)
    engine = first_stage(method, InverseFrequencyWeights(known))
    engine.ctx.classifier(UnitPrototypes).assignment.copy_(torch.tensor([2, 0, 3, 1]))
    labels, partners, share = torch.tensor([0, 1, 3]), torch.tensor([2, 2, 0]), 0.3
    embedding = torch.randn(3, 3)
    batch = Batch(None, labels, [(labels, share), (partners, 1 - share)], torch.arange(3), labels, embedding=embedding)
    loss = engine({"main": batch})[0]
    total = 0.0
    weight = {k: 1 / n for k, n in enumerate([40, 10, 2, 1])}  # section 7.2: the inverse of the number of samples
    for i in range(3):
        z = engine.head.projection(embedding[i : i + 1])[0].detach()
        for label, part in ((int(labels[i]), share), (int(partners[i]), 1 - share)):
            w = estimate(3, 4)[[2, 0, 3, 1][label]]
            total += part * weight[label] * 0.5 * (float(z @ w) / float(z.norm()) - 1) ** 2
    assert float(loss.detach()) == pytest.approx(total / sum(weight[int(label)] for label in labels), rel=1e-5)


def test_the_paper_s_mixup_is_the_default() -> None:
    assert Mixup(facts([1, 1])).alpha == 1.0  # beta of section 7.2


def test_it_learns_and_assigns_one_to_one() -> None:
    bank = random_bank(6, 8, per_class=16)
    method = Hyperspherical(facts([16] * 6, feature_dim=8), dim=3)
    engine = first_stage(method)
    for _ in range(4):
        train(engine, bank, steps=20)
        before = method.measure(engine.ctx)["objective"]
        method.end_epoch(engine.ctx)
        after = method.measure(engine.ctx)
        assert after["objective"] <= before
        assignment = engine.ctx.classifier(UnitPrototypes).assignment
        assert sorted(assignment.tolist()) == list(range(6))
        assert after["churn"] == pytest.approx(float((assignment != method.before).float().mean()))
    assert accuracy(engine, bank) > 0.9
    assert after["objective"] < -0.8


def accuracy(engine: Engine, bank: Bank) -> float:
    engine.eval()
    return float((engine.output(bank.embedding).logits.argmax(dim=1) == bank.labels).float().mean())


def test_labels_follow_the_features() -> None:
    # Classes stand at the corners of an octahedron, opposite ones at opposite corners. A linear map keeps opposites opposite,
    # so a network that can do no more succeeds only if the labels come to stand so too.
    prototypes = estimate(3, 6)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1)).tolist()
    opposite = [int((prototypes @ prototypes[k]).argmin()) for k in range(6)]
    assert any(opposite[order[j]] != order[opposite[j]] for j in range(6))
    labels = torch.arange(6).repeat(16)
    bank = Bank(3 * prototypes[order][labels], labels)
    reached = {}
    for dynamic in (True, False):
        torch.manual_seed(3)
        engine = first_stage(Hyperspherical(facts([16] * 6, feature_dim=3), dim=3, dynamic=dynamic))
        for _ in range(6):
            train(engine, bank, steps=20)
            engine.method("hyperspherical").end_epoch(engine.ctx)
        reached[dynamic] = accuracy(engine, bank)
    assert reached[True] == 1
    assert reached[False] < 0.9


def test_churn_by_hand() -> None:
    method = Hyperspherical(facts([4] * 4, feature_dim=4), dim=4)
    engine = first_stage(method)
    method.start_epoch(engine.ctx)
    prototypes = engine.ctx.classifier(UnitPrototypes).prototypes
    method.after_step(engine.ctx, seen(prototypes[[1, 0, 2, 3]], [0, 1, 2, 3]))
    assert method.measure(engine.ctx)["churn"] == 0
    method.end_epoch(engine.ctx)
    assert engine.ctx.classifier(UnitPrototypes).assignment.tolist() == [1, 0, 2, 3]
    figures = method.measure(engine.ctx)
    assert figures == {"churn": 0.5, "objective": pytest.approx(-1), "largest_cosine": pytest.approx(-1 / 3)}


def test_a_fixed_assignment_stays() -> None:
    method = Hyperspherical(facts([4] * 4, feature_dim=4), dim=4, dynamic=False)
    engine = first_stage(method)
    method.start_epoch(engine.ctx)
    method.after_step(engine.ctx, seen(engine.ctx.classifier(UnitPrototypes).prototypes[[1, 0, 3, 2]], [0, 1, 2, 3]))
    method.end_epoch(engine.ctx)
    assert engine.ctx.classifier(UnitPrototypes).assignment.tolist() == [0, 1, 2, 3]


def test_reassignment_every_so_many_steps_whatever_the_epochs() -> None:
    method = Hyperspherical(facts([4] * 4, feature_dim=4), dim=4, momentum=0.0, reassign_every=3)
    engine = first_stage(method)
    prototypes = engine.ctx.classifier(UnitPrototypes).prototypes
    moved = []
    for step in range(6):
        if step in (0, 2):  # epochs of two steps, then of four: the count goes on
            method.start_epoch(engine.ctx)
        order = [(label + step) % 4 for label in range(4)]
        before = engine.ctx.classifier(UnitPrototypes).assignment.tolist()
        method.after_step(engine.ctx, seen(prototypes[order], [0, 1, 2, 3]))
        moved.append(engine.ctx.classifier(UnitPrototypes).assignment.tolist() != before)
        method.end_epoch(engine.ctx)
    assert moved == [False, False, True, False, False, True]


def test_renormalized_means_are_those_of_the_public_code() -> None:
    method = Hyperspherical(facts([4] * 2, feature_dim=3), dim=3, momentum=0.95, renormalize=True)
    engine = first_stage(method)
    expected = torch.zeros(2, 3)
    for _ in range(5):
        features = F.normalize(torch.randn(2, 3), dim=1)
        method.after_step(engine.ctx, seen(3 * features, [0, 1]))  # lengths do not count
        expected = F.normalize(expected + 0.9 * expected + 0.1 * features, dim=1)
        torch.testing.assert_close(method.means, expected)


def test_prototypes_depend_on_dimension_number_and_their_own_seed_alone() -> None:
    torch.manual_seed(1)
    first = first_stage(Hyperspherical(facts([9, 3, 1], feature_dim=5), dim=4))
    torch.manual_seed(2)
    second = first_stage(Hyperspherical(facts([2, 2, 2], feature_dim=7), dim=4))
    other = first_stage(Hyperspherical(facts([2, 2, 2], feature_dim=7), dim=4, prototype_seed=1))
    assert torch.equal(first.ctx.classifier(UnitPrototypes).prototypes, second.ctx.classifier(UnitPrototypes).prototypes)
    assert not torch.equal(first.ctx.classifier(UnitPrototypes).prototypes, other.ctx.classifier(UnitPrototypes).prototypes)


def test_half_precision_keeps_the_digits_near_one() -> None:
    classifier = UnitPrototypes(2, 3)
    classifier.prototypes.copy_(estimate(2, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = classifier((100 * classifier.prototypes + 0.5).bfloat16())
    assert logits.dtype == torch.float32


def test_saved_prototypes_are_the_evaluated_ones(tmp_path: Path) -> None:
    scene = Scene(installed())
    engine, runner, plan = scene.build("hyperspherical", tmp_path)
    runner.train(engine, plan, SEED, scene.data)
    curve = runner.store.meta(plan.key)["curve"]
    engine.eval()
    (saved,) = tmp_path.rglob("engine.safetensors")
    tensors, _ = load_tensors(saved)
    prototypes, assignment = tensors["head.classifier.prototypes"], tensors["head.classifier.assignment"]
    assert sorted(assignment.tolist()) == list(range(10))
    # The engine in memory never read the file: what it predicts with is what was saved.
    images = torch.rand(7, 1, 8, 8)
    features = F.normalize(engine.output(images).features, dim=1)
    torch.testing.assert_close(engine.predict(images), features @ prototypes[assignment].T)
    # The last epoch moved labels, and that came before saving: the saved means call for no other assignment.
    assert [row["epoch"] for row in curve if "churn" in row] == [0, 1, 2]
    assert curve[-1]["churn"] > 0
    (means,) = (value for name, value in tensors.items() if name.endswith("means"))
    assert torch.equal(assign(means, prototypes, assignment), assignment)


def test_defaults_of_the_paper() -> None:
    method = Hyperspherical(facts([4] * 4, feature_dim=4), dim=4)
    assert (method.dynamic, method.reassign_every, method.renormalize, method.momentum) == (True, 0, False, 0.9)
    engine = first_stage(method)
    for feature in ([1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]):
        method.after_step(engine.ctx, seen(torch.tensor([feature]), [0]))
    torch.testing.assert_close(method.means[0], torch.tensor([0.9, 0.1, 0.0, 0.0]))  # eq. 8, of length .906


@pytest.mark.parametrize("recipe", ["best", "paper"])
def test_the_recipe_is_honored(recipe: Recipe) -> None:
    engine = first_stage(Hyperspherical(facts([2] * 8), dim=3, recipe=recipe))
    assert torch.equal(engine.ctx.classifier(UnitPrototypes).prototypes, estimate(3, 8, recipe=recipe))
    assert not torch.equal(estimate(3, 8, recipe="best"), estimate(3, 8, recipe="paper"))
    assert Hyperspherical(facts([2] * 8)).recipe == "best"


@pytest.mark.parametrize(("options", "told"), [
    ({"dim": 1}, "dim must be >= 2 or none, got 1"), ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
    ({"reassign_every": -1}, "reassign_every must be >= 0, got -1")])
def test_what_it_refuses(options: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Hyperspherical(facts([3, 2, 1]), **options)  # type: ignore[arg-type]


def test_half_the_classes_is_the_default_dimension() -> None:
    assert Hyperspherical(facts([1] * 100)).dim == 50
    assert Hyperspherical(facts([1] * 2)).dim == 2
