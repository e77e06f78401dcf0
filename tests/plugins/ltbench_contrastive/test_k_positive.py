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
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task
from ltbench.training.engine import Engine
from ltbench_baselines.rw import InverseFrequencyWeights
from ltbench_contrastive.k_positive import DetachedHead, KPositiveContrast, contrast_losses, first_of
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]
SIZE = 8


def test_by_hand() -> None:
    """The own key says 1, a drawn one of the class 1, another 0: ln(2 e + 1) - (1 + 1) / 2 = .861995; not drawn it repels."""
    own, others = torch.ones(2), torch.tensor([[1.0, 0.0, -torch.inf], [1.0, 0.0, -torch.inf]])
    positive = torch.tensor([[True, False, False], [False, False, False]])
    losses = contrast_losses(own, others, positive)
    torch.testing.assert_close(losses, torch.full((2,), 0.861995), rtol=0, atol=1e-6)
    one = contrast_losses(torch.zeros(1), torch.tensor([[math.log(2), 0.0]]), torch.tensor([[True, False]]))
    assert float(one) == pytest.approx(math.log(4) - math.log(2) / 2)


def test_without_positives_of_the_queue_it_is_info_nce() -> None:
    own, others = torch.randn(5), torch.randn(5, 7)
    losses = contrast_losses(own, others, torch.zeros(5, 7, dtype=torch.bool))
    expected = F.cross_entropy(torch.cat([own[:, None], others], dim=1), torch.zeros(5, dtype=torch.int64), reduction="none")
    torch.testing.assert_close(losses, expected)


def test_every_class_has_as_many_positives() -> None:
    """The paper's point: k of 90 keys and k of 10; all of 2. With FCL it would be 90, 10 and 2."""
    members = torch.tensor([0] * 90 + [1] * 10 + [2] * 2)
    positive = torch.tensor([0, 1, 2])[:, None] == members
    counts = torch.zeros(3, 102)
    for seed in range(400):
        drawn = first_of(positive, torch.randperm(102, generator=torch.Generator().manual_seed(seed)), 6)
        assert drawn.sum(dim=1).tolist() == [6, 6, 2] and not (drawn & ~positive).any()
        counts += drawn
    often = counts[1][members == 1] / 400  # each of the ten with probability .6, standard deviation .0245
    assert float((often - 0.6).abs().max()) < 0.1
    large = counts[0][members == 0] / 400
    assert float(large.mean()) == pytest.approx(6 / 90) and float(large.max()) < 0.14


def test_at_its_least_a_class_has_one_kth_each() -> None:
    """Each of the k + 1 positives has probability 1 / (k + 1), whatever the size of the class."""
    own, others = torch.zeros(1).requires_grad_(), torch.tensor([[0.0, 0.0, -40.0, -40.0]]).requires_grad_()
    contrast_losses(own, others, torch.tensor([[True, True, False, False]])).sum().backward()
    assert own.grad is not None and others.grad is not None
    torch.testing.assert_close(torch.cat([own.grad, others.grad[0]]), torch.zeros(5), rtol=0, atol=1e-6)


def engine_of(*others: type[Method], **options: Any) -> tuple[Engine, Any]:
    known = facts(COUNTS, 16)
    engine = first_stage([KPositiveContrast(known, **{"dim": 5, "temperature": 0.3, **options}),
                          *(other(known) for other in others)])
    return engine, engine.method("kcl")


def pair_of(digits: tuple[Tensor, Tensor], start: int = 0) -> Any:
    images, labels = (rows[start:] for rows in digits)
    return dataclasses.replace(batch_of(images[:SIZE], labels[:SIZE]), views=[images[:SIZE], images[40:40 + SIZE]])


def play(engine: Engine, batch: Any) -> Tensor:
    """Return the loss of a step, after which the queue moves; no weight does."""
    at_epoch(engine, 0)
    loss: Tensor
    loss, _, seen = engine({"main": batch})
    engine.after_step(Seen.of(seen))
    return loss.detach()


def slow(queries: Tensor, keys: Tensor, queue: list[tuple[Tensor, int]], labels: Tensor, tau: float) -> Tensor:
    """Anchor by anchor, with all positives."""
    losses = []
    for query, key, label in zip(queries, keys, labels.tolist(), strict=True):
        own = float(query @ key) / tau
        scored = [(float(query @ other) / tau, member == label) for other, member in queue]
        total = math.exp(own) + sum(math.exp(score) for score, _ in scored)
        logs = [own - math.log(total)] + [score - math.log(total) for score, same in scored if same]
        losses.append(-sum(logs) / len(logs))
    return torch.tensor(losses)


@pytest.mark.parametrize("projection", ["linear", "mlp"])
def test_two_steps_by_slow_loops(digits_batch: tuple[Tensor, Tensor], projection: str) -> None:
    """Queue of 12: empty in the first step, in the second the eight keys of the first; class weights weigh the classifier's."""
    engine, method = engine_of(InverseFrequencyWeights, queue=12, positives=None, projection=projection)
    remembered: list[tuple[Tensor, int]] = []
    for start in (0, 20):
        batch = pair_of(digits_batch, start)
        labels, weights = batch.labels, 1 / torch.tensor(COUNTS)[batch.labels]
        with torch.no_grad():
            embedding = engine.backbone(batch.views[0])
            queries = cast(DetachedHead, engine.head).projector(embedding)
            keys = method.key_encoder(batch.views[1])
            losses = F.cross_entropy(cast(DetachedHead, engine.head).classifier(embedding), labels, reduction="none")
            expected = (weights * losses).sum() / weights.sum() + slow(queries, keys, remembered, labels, 0.3).mean()
        torch.testing.assert_close(play(engine, batch), expected)
        remembered = (list(zip(keys, labels.tolist(), strict=True)) + remembered)[:12]
        with torch.no_grad():  # from now on the momentum encoder differs
            engine.backbone.load_state_dict({name: 0.9 * value for name, value in engine.backbone.state_dict().items()})
        torch.testing.assert_close(method.queue[:SIZE], keys)
        assert method.members.tolist()[:len(remembered)] == [member for _, member in remembered]


def test_an_empty_queue_says_nothing(digits_batch: tuple[Tensor, Tensor]) -> None:
    """Random keys would repel; an image whose own key is all there is loses nothing."""
    engine, method = engine_of()
    assert set(method.members.tolist()) == {-1}
    step = method.step(at_epoch(engine, 0), {"main": pair_of(digits_batch)})
    torch.testing.assert_close(step.logs["contrast"], torch.zeros(()))


def test_the_classifier_teaches_itself_alone(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine, method = engine_of()
    step = method.step(at_epoch(engine, 0), {"main": pair_of(digits_batch)})
    classifier = cast(DetachedHead, engine.head).classifier
    taught = torch.autograd.grad(step.logs["classification"], [*engine.backbone.parameters(), *classifier.parameters()],
                                 allow_unused=True)
    assert all(gradient is None for gradient in taught[:-2]) and taught[-1] is not None and taught[-2] is not None


def test_the_queue_holds_no_image_twice() -> None:
    assert len(engine_of()[1].queue) == sum(COUNTS) and len(engine_of(queue=7)[1].queue) == 7


def test_fcl_is_kcl_with_all_positives(digits_batch: tuple[Tensor, Tensor]) -> None:
    losses = []
    for options in ({"positives": None}, {"positives": SIZE * 2}, {"positives": 0}):
        torch.manual_seed(0)
        engine, _ = engine_of(**options)
        play(engine, pair_of(digits_batch))
        losses.append(float(play(engine, pair_of(digits_batch, 20))))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) and losses[0] != pytest.approx(losses[2], rel=1e-5)
    assert load_registry(strict=False).methods.get("fcl").spec.fixed == {"positives": None}


def test_settings_of_the_paper() -> None:
    setting = KPositiveContrast.paper(Task("imagenet-lt", None))
    assert setting is not None and KPositiveContrast.paper(Task("cifar100-lt", 100.0)) is None
    assert (setting.protocol["epochs"], setting.protocol["lr"], setting.protocol["batch_size"]) == (200, 0.1, 256)
    assert (setting.protocol["stage2_lr"], setting.protocol["stage2_weight_decay"]) == (10.0, 0.0)
