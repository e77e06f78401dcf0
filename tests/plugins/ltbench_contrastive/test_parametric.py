from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ltbench.method.contract import Method
from ltbench.method.values import Seen
from ltbench.terms.task import Task
from ltbench.training.engine import Engine
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_contrastive.gpaco import GPaCo
from ltbench_contrastive.paco import PaCo
from ltbench_contrastive.parametric import ParametricContrast, parametric_losses
from ltbench_contrastive.projection import ProjectingHead
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]
SIZE = 8


def test_by_hand() -> None:
    """Centers say 1 and 0, a key of the own class 2, another 0, alpha .5: ln(e + 1 + e^2 + 1) - (1 + .5 x 2) / 1.5 = 1.160478."""
    centers, scores = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    losses = parametric_losses(centers, scores, torch.tensor([0]), torch.tensor([0, 1]), 0.5)
    assert float(losses) == pytest.approx(2.493812 - 4 / 3, abs=1e-5)


def test_without_keys_it_is_cross_entropy() -> None:
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0])
    losses = parametric_losses(logits, logits.new_zeros(5, 0), labels, labels[:0], 0.3)
    torch.testing.assert_close(losses, F.cross_entropy(logits, labels, reduction="none"))


@pytest.mark.parametrize("keys", [1, 10, 400])
def test_the_probabilities_at_which_it_is_least(keys: int) -> None:
    """As PaCo remarks: 1 / (1 + alpha K) for the own center and alpha / (1 + alpha K) for each of K keys of the own class."""
    alpha = 0.05
    own, pair = 1 / (1 + alpha * keys), alpha / (1 + alpha * keys)
    centers = torch.tensor([[math.log(own), -40.0]]).requires_grad_()
    scores = torch.tensor([[math.log(pair)] * keys + [-40.0]]).requires_grad_()
    members = torch.tensor([0] * keys + [1])
    parametric_losses(centers, scores, torch.tensor([0]), members, alpha).sum().backward()
    for point in (centers, scores):
        torch.testing.assert_close(cast(Tensor, point.grad), torch.zeros_like(point), rtol=0, atol=1e-6)


def engine_of(kind: type[ParametricContrast], *others: type[Method], **options: Any) -> tuple[Engine, Any]:
    known = facts(COUNTS, 16)
    method = kind(known, **{"dim": 5, "alpha": 0.2, "temperature": 0.3, **options})
    engine = first_stage([method, *(other(known) for other in others)])
    return engine, engine.method(kind.name)


def pair_of(digits: tuple[Tensor, Tensor], start: int = 0) -> Any:
    images, labels = (rows[start:] for rows in digits)
    return dataclasses.replace(batch_of(images[:SIZE], labels[:SIZE]), views=[images[:SIZE], images[40:40 + SIZE]])


def play(engine: Engine, batch: Any) -> Tensor:
    """Return the loss of a step, after which the queue moves; no weight does."""
    at_epoch(engine, 0)
    loss, _, seen = engine({"main": batch})
    engine.after_step(Seen.of(seen))
    return loss


def slow(logits: Tensor, own: Tensor, keys: list[tuple[Tensor, int]], labels: Tensor, alpha: float, tau: float) -> Tensor:
    """Anchor by anchor; keys are all but the anchor's own projection, which is the i-th."""
    prior, losses = torch.tensor(COUNTS) / sum(COUNTS), []
    for i, label in enumerate(labels.tolist()):
        centers = logits[i] + prior.log()
        scored = [(float(own[i] @ key.detach()) / tau, member == label) for j, (key, member) in enumerate(keys) if j != i]
        total = sum(math.exp(z) for z in centers.tolist()) + sum(math.exp(s) for s, _ in scored)
        terms = [(1.0, float(centers[label]))] + [(alpha, s) for s, same in scored if same]
        losses.append(-sum(w * (z - math.log(total)) for w, z in terms) / sum(w for w, _ in terms))
    return torch.tensor(losses)


@pytest.mark.parametrize("kind", [PaCo, GPaCo])
def test_two_steps_by_slow_loops(kind: type[ParametricContrast], digits_batch: tuple[Tensor, Tensor]) -> None:
    """Queue of 12: empty in the first step, in the second the eight keys of the first, with class weights beside."""
    engine, method = engine_of(kind, InverseFrequencyWeights, queue=12)
    head = cast(ProjectingHead, engine.head)
    remembered: list[tuple[Tensor, int]] = []
    for start in (0, 20):
        batch = pair_of(digits_batch, start)
        labels, weights = batch.labels, 1 / torch.tensor(COUNTS)[batch.labels]
        with torch.no_grad():
            first, second = (engine.backbone(view) for view in batch.views)
            q = head.projector(first)
            k = head.projector(second) if kind is GPaCo else method.key_projector(method.key_backbone(batch.views[1]))
            rows = [list(zip(own, labels.tolist(), strict=True)) for own in (q, k)]
            expected = slow(head.classifier(first), q, rows[0] + rows[1] + remembered, labels, 0.2, 0.3)
            if kind is GPaCo:
                other = slow(head.classifier(second), k, rows[1] + rows[0] + remembered, labels, 0.2, 0.3)
                expected = (expected + other) / 2
        torch.testing.assert_close(play(engine, batch).detach(), (weights * expected).sum() / weights.sum())
        remembered = (rows[1] + remembered)[:12]
        with torch.no_grad():  # from now on a momentum encoder differs
            engine.backbone.load_state_dict({name: 0.9 * value for name, value in engine.backbone.state_dict().items()})
        torch.testing.assert_close(method.queue[:SIZE], k)
        assert method.members.tolist()[:len(remembered)] == [member for _, member in remembered]


@pytest.mark.parametrize("kind", [PaCo, GPaCo])
def test_an_empty_queue_says_nothing(kind: type[ParametricContrast], digits_batch: tuple[Tensor, Tensor]) -> None:
    """The public code starts with random keys under random labels; here the first loss is that without a queue."""
    losses = []
    for queue in (1, 500):
        torch.manual_seed(0)
        engine, method = engine_of(kind, queue=queue)
        assert set(method.members.tolist()) == {-1}
        losses.append(play(engine, pair_of(digits_batch)).detach())
    torch.testing.assert_close(losses[0], losses[1])


def test_keys_are_made_by_a_momentum_encoder(digits_batch: tuple[Tensor, Tensor]) -> None:
    _, method = engine_of(PaCo)
    assert (method.key_backbone.momentum, method.key_projector.momentum) == (0.999, 0.999)


def test_gradients_reach_both_views_in_gpaco_and_the_first_alone_in_paco(digits_batch: tuple[Tensor, Tensor]) -> None:
    for kind, reached in ((PaCo, False), (GPaCo, True)):
        engine, _ = engine_of(kind)
        batch = pair_of(digits_batch)
        view = batch.views[1].clone().requires_grad_()
        loss = play(engine, dataclasses.replace(batch, views=[batch.views[0], view]))
        (gradient,) = torch.autograd.grad(loss, [view], allow_unused=True)
        assert (gradient is not None) is reached


def test_settings_of_the_paper() -> None:
    for kind, rate in ((PaCo, 0.02), (GPaCo, 0.04)):
        for name, ratio in (("cifar100-lt", 100.0), ("imagenet-lt", None), ("inat18", None)):
            setting = kind.paper(Task(name, ratio))
            assert setting is not None and setting.protocol["epochs"] == 400 and setting.protocol["batch_size"] == 128
        assert setting is not None and setting.protocol["lr"] == rate and setting.hyperparameters["queue"] == 8192
