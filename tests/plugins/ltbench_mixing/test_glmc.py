from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassAware, InstanceBalanced
from ltbench.method.context import Context
from ltbench.method.factories import HeadFactory
from ltbench.method.values import Step
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed, scratch
from ltbench_mixing.glmc import MixtureConsistency, TwoClassifiers
from tests.support.known_context import SIDE, batch_of, context, pixels
from tests.support.stages import facts

COUNTS = (100, 10, 10)


def method(**values: float) -> MixtureConsistency:
    return MixtureConsistency(facts(COUNTS, feature_dim=3), dim=2, **values)


def twice(labels: list[int]) -> Batch:
    batch = batch_of(labels)
    assert batch.images is not None
    return dataclasses.replace(batch, views=[batch.images, batch.images + 100])


def scene(own: MixtureConsistency, progress: float = 0.0, seed: int = 0) -> tuple[Context, Step]:
    """Take a step on a network whose embedding is the first pixels, with classifiers of known weights."""
    ctx = context(COUNTS, seed)
    ctx.epoch = round(10 * progress)
    own.setup(ctx)
    head = TwoClassifiers(nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        for number, classifier in enumerate((head.classifier, head.plain)):
            classifier.weight.copy_(torch.arange(9.0).reshape(3, 3).sin() * (number + 1) / 10)  # type: ignore[operator]
    ctx.engine.head = head
    return ctx, own.step(ctx, {"main": twice([0, 0, 1, 2]), "partners": twice([2, 1, 0, 0])})


def test_weights_by_hand() -> None:
    # 1/100, 1/10, 1/10, three in sum.
    torch.testing.assert_close(method(reweighting=1.0).weights, torch.tensor([1, 10, 10]) / 7)
    torch.testing.assert_close(method(reweighting=0.0).weights, torch.ones(3))


def softmax_loss(logits: Tensor, label: int) -> float:
    return math.log(sum(math.exp(z) for z in logits.tolist())) - float(logits.tolist()[label])


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.9])
def test_loss_against_loops(progress: float) -> None:
    own = method(reweighting=1.0, consistency=3.0)
    ctx, step = scene(own, progress)
    (labels, share), (others, rest) = step.batch.targets
    assert (labels.tolist(), others.tolist()) == ([0, 0, 1, 2], [2, 1, 0, 0]) and float(share) + float(rest) == pytest.approx(1)
    ctx.generator.manual_seed(0)
    assert ctx.draw_beta(1.0, 1.0) == share
    local = own.patched(ctx, twice(labels.tolist()).views[1], twice(others.tolist()).views[1], float(share))
    assert step.batch.images is not None
    head = ctx.engine.head
    plain, weighted, agreement = 0.0, 0.0, 0.0
    for i in range(4):
        outputs = [head(images[i:i + 1].flatten(1)[:, :3]) for images in (step.batch.images, local)]
        for output in outputs:
            for label, part in ((int(labels[i]), float(share)), (int(others[i]), float(rest))):
                plain += part * softmax_loss(output.extra["plain"][0], label) / 4
                weighted += part * float(own.weights[label]) * softmax_loss(output.logits[0], label) / 4
        first, second = [own.project(output.features)[0] for output in outputs]
        for prediction, other in ((own.predictor(first), second), (own.predictor(second), first)):
            norms = math.sqrt(float(prediction @ prediction)) * math.sqrt(float(other @ other))
            agreement += float(prediction @ other) / norms / 4
    late = progress**2
    assert float(step.loss) == pytest.approx((1 - late) * plain + late * weighted - 3.0 * agreement, rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_both_views_are_mixed_of_the_same_two_images(seed: int) -> None:
    """The trap: another permutation for the second view would ask images of different classes to agree."""
    own = method()
    ctx = context(COUNTS, seed)
    main, partners = twice([0, 1, 2, 0]), twice([2, 0, 1, 1])
    share = ctx.draw_beta(1.0, 1.0)
    local = own.patched(ctx, main.views[1], partners.views[1], share)
    for row, (first, second) in enumerate(zip(main.labels.tolist(), partners.labels.tolist(), strict=True)):
        assert set(local[row].flatten().tolist()) <= {first + 100.0, second + 100.0}
    _, step = scene(own, seed=seed)
    (labels, part), (others, rest) = step.batch.targets
    torch.testing.assert_close(pixels(step.batch.images), float(part) * labels + float(rest) * others)


def test_the_patch_has_about_the_others_share() -> None:
    own, ctx = method(), context(COUNTS)
    covered = []
    for _ in range(400):
        found = own.patched(ctx, torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE), 0.75)
        covered.append(float(found.mean()))
    assert max(covered) == 0.25  # half of each side; less where it is cut at the edge
    assert 0.15 < sum(covered) / 400 < 0.25


def test_attention_moves_from_the_plain_to_the_rebalanced_classifier() -> None:
    """The paper's cumulative learning: nothing of the rebalanced loss in the first epoch, and three quarters plain half way."""
    for progress, share in ((0.0, 0.0), (0.5, 0.25)):
        ctx, step = scene(method(consistency=0.0), progress)
        step.loss.backward()  # type: ignore[no-untyped-call]
        logs = step.logs
        torch.testing.assert_close(step.loss, (1 - share) * logs["plain"] + share * logs["rebalanced"])
        gradient = ctx.engine.head.classifier.weight.grad
        assert gradient is not None and bool(gradient.any()) == (share > 0)


def test_a_projection_is_a_target_without_a_gradient() -> None:
    own = method(consistency=1.0)
    _, step = scene(own)
    (gradient,) = torch.autograd.grad(step.logs["agreement"], own.predictor.weight, retain_graph=True)
    assert gradient.any()
    with torch.no_grad():
        own.predictor.weight.zero_()
        own.predictor.bias.fill_(1.0)  # says the same of every image: its own input gets no gradient, nor does its target
    _, step = scene(own)
    step.logs["agreement"].backward()  # type: ignore[no-untyped-call]
    assert own.project.weight.grad is None or not own.project.weight.grad.any()


def test_streams_are_drawn_by_the_size_of_the_class() -> None:
    streams = method(resampling=0.2).streams(context(COUNTS))
    assert streams == {"main": InstanceBalanced(), "partners": ClassAware(-0.8)}


def test_prediction_is_the_rebalanced_one_and_later_stages_read_it() -> None:
    head = method().build_head(HeadFactory(nn.Linear, 3, 3))
    assert isinstance(head, TwoClassifiers) and isinstance(head.classifier, nn.Linear)
    embedding = torch.randn(5, 3)
    torch.testing.assert_close(head(embedding).logits, head.classifier(embedding))
    torch.testing.assert_close(head(embedding).extra["plain"], head.plain(embedding))


def test_settings_are_the_public_commands() -> None:
    setting = MixtureConsistency.paper(Task("cifar100-lt", 50.0))
    assert setting is not None and setting.protocol["backbone"] == "resnet32x4"
    assert dict(setting.hyperparameters) == {"resampling": 0.2, "reweighting": 1.2, "consistency": 6.0}
    assert MixtureConsistency.paper(Task("cifar100-lt", 20.0)) is None


@pytest.mark.slow
def test_it_stands_beside_and_below_others() -> None:
    place = Scene(installed())
    with scratch() as folder:
        for text in ("glmc+balanced_softmax", "glmc+drw/crt", "glmc/maxnorm", "glmc/ncm"):
            place.train(text, folder)
