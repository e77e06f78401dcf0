from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.data.samplers import ClassAware, InstanceBalanced
from ltbench.errors import UserError
from ltbench.method.context import Context
from ltbench.method.contract import Method
from ltbench.method.stack import Stack
from ltbench.method.values import Seen
from ltbench.training.engine import Engine
from ltbench_baselines.ce import CrossEntropy
from ltbench_baselines.la import LogitAdjustment
from ltbench_baselines.ldam import LDAM
from ltbench_baselines.mixup import Mixup
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_iccl.head import ProjectingHead
from ltbench_iccl.iccl import ICCL
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.known_context import context
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]
LATE = 9
SIZE = 8


def _engine(*others: type[Method], **options: Any) -> tuple[Engine, ICCL]:
    known = facts(COUNTS, 16)
    engine = first_stage([ICCL(known, **options), *(other(known) for other in others)])
    method = cast(ICCL, engine.method("iccl"))
    method.centroids.copy_(F.normalize(torch.randn_like(method.centroids), dim=1))
    return engine, method


def _batches(digits: tuple[Tensor, Tensor]) -> tuple[Batch, Batch]:
    images, labels = digits
    return batch_of(images[:SIZE], labels[:SIZE]), batch_of(images[40 : 40 + SIZE], labels[40 : 40 + SIZE])


def _head(engine: Engine) -> tuple[nn.Linear, ProjectingHead]:
    head = cast(ProjectingHead, engine.head)
    return cast(nn.Linear, head.classifier), head


def test_with_lambda_one_the_interpolative_loss_is_the_warm_ups(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine, method = _engine()
    plain, other = _batches(digits_batch)
    warm = method.step(at_epoch(engine, 0), {"main": plain})
    late = method.interpolate(at_epoch(engine, LATE), plain, other, 1.0)
    torch.testing.assert_close(late.loss, warm.loss)
    swapped = method.interpolate(at_epoch(engine, LATE), other, plain, 0.0)
    torch.testing.assert_close(swapped.loss, warm.loss)


def test_equation_8_against_loops(digits_batch: tuple[Tensor, Tensor]) -> None:
    """Sample by sample, with another criterion and class weights beside."""
    engine, method = _engine(LogitAdjustment, InverseFrequencyWeights, uniform_weight=0.5, interpolative_weight=2.0,
                             temperature=0.2)
    plain, other = _batches(digits_batch)
    share = 0.3
    step = method.interpolate(at_epoch(engine, LATE), plain, other, share)
    linear, head = _head(engine)
    prior, weights = torch.tensor(COUNTS) / sum(COUNTS), 1 / torch.tensor(COUNTS)
    assert plain.images is not None and other.images is not None

    def classified(image: Tensor, label: Tensor) -> Tensor:
        logits = linear.weight @ engine.backbone(image[None])[0] + linear.bias + prior.log()
        loss: Tensor = weights[label] * (logits.logsumexp(0) - logits[label])
        return loss

    def retrieved(image: Tensor, label: Tensor) -> Tensor:
        first, _, last = head.projector
        z = last(first(engine.backbone(image[None])[0]).clamp_min(0))
        scores = method.centroids @ (z / z.norm()) / 0.2
        loss: Tensor = scores.logsumexp(0) - scores[label]
        return loss

    total = torch.zeros(())
    norms = [weights[batch.labels].sum() for batch in (plain, other)]
    for i in range(SIZE):
        x, y, other_y = plain.images[i], plain.labels[i], other.labels[i]
        mixture = share * x + (1 - share) * other.images[i]
        total = total + 0.5 * classified(x, y) / norms[0]
        total = total + 2 * (share * classified(mixture, y) / norms[0] + (1 - share) * classified(mixture, other_y) / norms[1])
        total = total + 2 * (share * retrieved(mixture, y) + (1 - share) * retrieved(mixture, other_y)) / SIZE
    torch.testing.assert_close(step.loss, total)
    assert step.batch is plain and step.output.features.shape == (SIZE, 16)
    torch.testing.assert_close(step.output.logits, engine.output(plain.images).logits)


def test_two_steps_against_an_implementation_without_the_contract(digits_batch: tuple[Tensor, Tensor],
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the warm-up and one after it, parameters and centroids, by plain gradient descent."""
    engine, method = _engine(uniform_weight=1.0, momentum=0.8)
    monkeypatch.setattr(method, "draw_share", lambda ctx: 0.25)
    slow, centroids = copy.deepcopy(nn.ModuleList([engine.backbone, engine.head])), method.centroids.clone()
    backbone, head = cast(Any, slow)
    images, labels = digits_batch
    pairs = [tuple(batch_of(images[i : i + SIZE], labels[i : i + SIZE]) for i in (start, start + 50)) for start in (0, 20)]
    optimizer = torch.optim.SGD(engine.parameters(), lr=0.1)
    for epoch, (plain, other) in zip((0, LATE), pairs, strict=True):
        at_epoch(engine, epoch)
        loss, _, seen = engine({"main": plain, "class_aware": other})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        engine.after_step(Seen.of(seen))

        plain_images, other_images = cast(Tensor, plain.images), cast(Tensor, other.images)
        g = backbone(plain_images)
        expected = F.nll_loss(head.classifier(g).log_softmax(1), plain.labels)
        if epoch == 0:
            z = F.normalize(head.projector(g))
            expected = expected + F.nll_loss((z @ centroids.T / 0.3).log_softmax(1), plain.labels)
        else:
            g_mixed = backbone(0.25 * plain_images + 0.75 * other_images)
            z = F.normalize(head.projector(g_mixed))
            for scores in (head.classifier(g_mixed), z @ centroids.T / 0.3):
                for wanted, weight in ((plain.labels, 0.25), (other.labels, 0.75)):
                    expected = expected + weight * F.nll_loss(scores.log_softmax(1), wanted)
        torch.testing.assert_close(loss, expected)
        gradients = torch.autograd.grad(expected, list(slow.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(slow.parameters(), gradients, strict=True):
                parameter.sub_(0.1 * gradient)
            z = F.normalize(head.projector(g))
            for k in set(plain.labels.tolist()):
                centroids[k] = F.normalize(0.8 * centroids[k] + 0.2 * z[plain.labels == k].sum(0), dim=0)
        torch.testing.assert_close(method.centroids, centroids)
    fast = [*engine.backbone.parameters(), *engine.head.parameters()]
    for ours, theirs in zip(fast, slow.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_plain_images_and_mixtures_are_one_batch_to_batch_norm(digits_batch: tuple[Tensor, Tensor]) -> None:
    """One pass moves running statistics once, by a tenth of the way to the mean over both."""
    engine, method = _engine()
    plain, other = _batches(digits_batch)
    at_epoch(engine, LATE)
    conv = next(m for m in engine.backbone.modules() if isinstance(m, nn.Conv2d))
    norm = next(m for m in engine.backbone.modules() if isinstance(m, nn.BatchNorm2d))
    before = cast(Tensor, norm.running_mean).clone()
    engine.train()
    method.interpolate(engine.ctx, plain, other, 0.3)
    assert plain.images is not None and other.images is not None and norm.num_batches_tracked == 1
    everything = [*plain.images, *(0.3 * x + 0.7 * y for x, y in zip(plain.images, other.images, strict=True))]
    means = [conv(image[None]).mean(dim=(0, 2, 3)).detach() for image in everything]
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * sum(means, torch.zeros(())) / (2 * SIZE))


def test_centroids_move_by_images_alone(digits_batch: tuple[Tensor, Tensor]) -> None:
    """No gradient step reaches them (eq. 1): only what was seen does, and it leaves no graph behind."""
    engine, method = _engine(momentum=0.5)
    plain, other = _batches(digits_batch)
    at_epoch(engine, LATE)
    optimizer, before = torch.optim.SGD(engine.parameters(), lr=1.0), method.centroids.detach().clone()
    loss, _, seen = engine({"main": plain, "class_aware": other})
    loss.backward()
    optimizer.step()
    assert torch.equal(method.centroids, before) and not method.centroids.requires_grad
    engine.after_step(Seen.of(seen))
    assert not torch.equal(method.centroids, before) and not method.centroids.requires_grad
    assert bool((method.centroids != before).any(dim=1)[plain.labels].all())


def test_ce_it_alone_is_mixup_of_two_streams(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine, method = _engine(uniform_weight=0.0, cc_it=False)
    plain, other = _batches(digits_batch)
    step = method.interpolate(at_epoch(engine, LATE), plain, other, 0.4)
    assert plain.images is not None and other.images is not None
    logits = engine.output(0.4 * plain.images + 0.6 * other.images).logits
    expected = 0.4 * F.cross_entropy(logits, plain.labels) + 0.6 * F.cross_entropy(logits, other.labels)
    torch.testing.assert_close(step.loss, expected)
    torch.testing.assert_close(step.output.logits, logits)
    assert [weight for _, weight in step.batch.targets] == pytest.approx([0.4, 0.6])
    before = method.centroids.clone()
    method.after_step(engine.ctx, Seen(step.output.features.detach(), plain.labels, plain.indices))
    assert torch.equal(method.centroids, before)  # nothing reads them, and the features are of mixtures


@pytest.mark.parametrize("options", [
    {}, {"uniform_weight": 1.0}, {"cc_it": False}, {"uniform_weight": 1.0, "cc_it": False},
    {"uniform_weight": 1.0, "ce_it": False}])
def test_every_parameter_gets_a_gradient(options: dict[str, Any], digits_batch: tuple[Tensor, Tensor]) -> None:
    """Distributed training waits for it, whatever is switched off."""
    engine, method = _engine(**options)
    plain, other = _batches(digits_batch)
    for epoch in (0, LATE):
        engine.zero_grad()
        engine.ctx.epoch = epoch
        method.step(engine.ctx, {"main": plain, "class_aware": other}).loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None for p in engine.parameters())
    used = any(bool(cast(Tensor, p.grad).any()) for p in cast(ProjectingHead, engine.head).projector.parameters())
    assert used == method.cc_it


def test_streams_follow_the_warm_up() -> None:
    method = ICCL(facts(COUNTS, epochs=200), gamma=0.5)
    for epoch, names in ((0, ["main"]), (79, ["main"]), (80, ["main", "class_aware"]), (199, ["main", "class_aware"])):
        streams = method.streams(cast(Context, SimpleNamespace(epoch=epoch)))
        assert list(streams) == names
        assert streams["main"] == InstanceBalanced()
        assert streams.get("class_aware", ClassAware(0.5)) == ClassAware(0.5)
    late = cast(Context, SimpleNamespace(epoch=0))
    assert ICCL(facts(COUNTS), warmup=0, sampler="class_agnostic").streams(late)["class_aware"] == InstanceBalanced()
    assert ICCL(facts(COUNTS, epochs=90), warmup=40 / 90).warmup_epochs == 40


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.2, 1.0), (2.0, 2.0)])
def test_lambda_is_of_its_beta_distribution_and_of_the_generator(alpha: float, beta: float) -> None:
    method = ICCL(facts(COUNTS), alpha=alpha, beta=beta)
    ctx = context([1, 1], 1)
    state = torch.get_rng_state()
    drawn = torch.tensor([method.draw_share(ctx) for _ in range(2000)])
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn.mean().item() == pytest.approx(alpha / (alpha + beta), abs=0.03)
    assert drawn.var().item() == pytest.approx(alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1)), rel=0.12)


def test_the_projection_is_beside_the_classifier(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine, _ = _engine(projection_dim=5)
    output = engine.output(digits_batch[0][:4])
    assert output.extra["projection"].shape == (4, 5)
    torch.testing.assert_close(output.extra["projection"].norm(dim=1), torch.ones(4))
    assert torch.equal(output.features, output.embedding)
    assert isinstance(engine.head.projection, nn.Identity)  # what later stages would read features through


def test_what_it_stands_with() -> None:
    known = facts(COUNTS, 16)
    assert _engine(LDAM)[0].stack.owner("criterion").name == "ldam"
    assert Stack([ICCL(known), CrossEntropy(known)], 1).owner("step").name == "iccl"
    with pytest.raises(UserError, match="both own 'mix'"):
        Stack([ICCL(known), Mixup(known)], 1)
    with pytest.raises(UserError, match="the first stage only"):
        Stack([ICCL(known)], 2)


@pytest.mark.parametrize(("options", "message"), [
    ({"temperature": 0.0}, "temperature must be > 0"), ({"alpha": -1.0}, "alpha must be > 0"),
    ({"beta": 0.0}, "beta must be > 0"), ({"interpolative_weight": 0.0}, "interpolative_weight must be > 0"),
    ({"uniform_weight": -0.1}, "uniform_weight must be >= 0"),
    ({"projection_dim": 0}, "projection_dim must be > 0"), ({"momentum": 1.0}, "momentum must be in"),
    ({"warmup": 1.0}, "warmup must be in"), ({"gamma": float("nan")}, "gamma must be a finite number"),
    ({"sampler": "tail"}, "sampler must be one of class_aware, class_agnostic"),
    ({"ce_it": False}, "ce_it must be true where uniform_weight is 0"),
    ({"ce_it": False, "cc_it": False, "uniform_weight": 1.0}, "cc_it must be true where ce_it is not")])
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ICCL(facts(COUNTS), **options)
