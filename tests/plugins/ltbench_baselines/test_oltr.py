from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import ltbench
from ltbench.terms.task import Task
from ltbench.testing.scene import Scene, installed
from ltbench_baselines.oltr import MetaEmbedding, ModulatedAttention, OpenLongTailed
from tests.support.first_stages import batch_of
from tests.support.stages import facts, softmax_loss


def test_attention_by_hand() -> None:
    """One channel, two positions with values 1 and 3; keys 0, so that each reads the mean, 2; equal shares of 1/2 each."""
    attention = ModulatedAttention(1, 1, 2)
    maps = torch.tensor([[[[1.0, 3.0]]]])
    torch.testing.assert_close(attention(maps), maps)  # at the start
    for part in (attention.key, attention.where):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    for part in (attention.value, attention.context):
        nn.init.ones_(part.weight)
    torch.testing.assert_close(attention(maps), torch.tensor([[[[2.0, 4.0]]]]))


def test_attention_by_loops() -> None:
    attention, maps = ModulatedAttention(4, 2, 3), torch.randn(2, 4, 2, 3)
    nn.init.normal_(attention.context.weight)
    found = attention(maps)
    for image, said in zip(maps, found, strict=True):
        flat = image.flatten(1)  # (4, 6)
        query, key, value = ((part.weight[:, :, 0, 0] @ flat + part.bias[:, None])
                             for part in (attention.query, attention.key, attention.value))
        shares = (attention.where.weight @ image.flatten() + attention.where.bias).softmax(dim=0)
        for p in range(6):
            weights = torch.stack([query[:, p] @ key[:, q] for q in range(6)]).softmax(dim=0)
            read = sum(weights[q] * value[:, q] for q in range(6))
            expected = flat[:, p] + shares[p] * (attention.context.weight[:, :, 0, 0] @ read)
            torch.testing.assert_close(said.flatten(1)[:, p], expected)


def plain_head(width: int, classes: int) -> MetaEmbedding:
    head = MetaEmbedding(width, classes, 16.0, 10.0)
    for part in (head.hallucinator, head.selector):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    return head


def test_meta_embedding_by_hand() -> None:
    # Centroids (0, 0) and (6, 0). The feature (3, 4) lies 5 from both, so that 10 / 5 = 2. Both are recalled alike: (3, 0), of
    # which the selector lets tanh(atanh(1/3)) = 1/3 through. Meta-embedding: 2 ((3, 4) + (1, 0)) = (8, 8), of length 8 sqrt(2).
    head = plain_head(2, 2)
    nn.init.constant_(head.selector.bias, math.atanh(1 / 3))
    head.centroids.data = torch.tensor([[0.0, 0.0], [6.0, 0.0]])
    head.weight.data = torch.tensor([[5.0, 0.0], [0.0, 0.1]])
    expected = 16 * 8 / (1 + 8 * math.sqrt(2))
    torch.testing.assert_close(head(torch.tensor([[3.0, 4.0]])).logits, torch.tensor([[expected, expected]]))


def test_a_feature_far_from_every_centroid_is_less_sure() -> None:
    """The paper's reachability: of two features that point alike, the one that no class is near has logits nearer to 0."""
    head = plain_head(2, 2)
    head.centroids.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    head.weight.data = torch.eye(2)
    near, far = head(torch.tensor([[1.0, 0.1], [50.0, 5.0]])).logits
    assert near[0] > 15 and far[0] < near[0] - 1
    assert torch.isfinite(head(torch.tensor([[1.0, 0.0]])).logits).all()  # upon a centroid


def test_memory_loss_by_hand() -> None:
    # Features (1, 0) and (3, 0) of class 0, whose centroid is the origin; the other is at (0, 2). Drawn: 1/2 and 9/2. Squared
    # distances from the other, 5 and 13, over two classes: 2.5 and 6.5; at a margin of 10 it is 7.5 and 3.5 that is driven.
    method = OpenLongTailed(facts([2, 1]), repulsion=0.1)
    features = torch.tensor([[1.0, 0.0], [3.0, 0.0]], requires_grad=True)
    centroids = torch.tensor([[0.0, 0.0], [0.0, 2.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    losses = method.memory_losses(features, labels, centroids, labels)
    torch.testing.assert_close(losses, torch.tensor([0.5 + 0.75, 4.5 + 0.35]))
    losses.mean().backward()  # type: ignore[no-untyped-call]
    # The own centroid: ((0 - 1) + (0 - 3)) / (2 + 1) / 2. The other: -.1 (c - f) of both, over two classes and two images, twice.
    expected = torch.tensor([[-4 / 3 / 2, 0.0], [-0.1 * (-4) / 2, -0.1 * 4 / 2]])
    assert centroids.grad is not None and features.grad is not None
    torch.testing.assert_close(centroids.grad, expected)
    torch.testing.assert_close(features.grad[0], torch.tensor([(1 - 0.1 * 1) / 2, 0.1 * 2 / 2]))
    beyond = method.memory_losses(torch.tensor([[9.0, 9.0]]), torch.tensor([0]), centroids.detach(), torch.tensor([0]))
    torch.testing.assert_close(beyond, torch.tensor([81.0]))


def test_stage_by_a_slow_loss(tmp_path: Path, digits_batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    engine, _, plan = Scene(installed()).build("ce/oltr", tmp_path)
    before, method, head = engine.ctx.previous, engine.method("oltr"), engine.head
    assert before is not None and plan.number == 2
    torch.testing.assert_close(head.hallucinator.weight, before.head.classifier.weight)
    engine.eval()
    images, labels = digits_batch[0][:6], digits_batch[1][:6]
    torch.testing.assert_close(engine.backbone.pooled(images), before.backbone(images))  # attention begins as nothing
    method.fit(engine.ctx)
    bank = engine.ctx.features("train")
    torch.testing.assert_close(head.centroids[3].detach(), bank.embedding[bank.labels == 3].mean(dim=0), rtol=1e-4, atol=1e-5)
    step = method.step(engine.ctx, {"main": batch_of(images, labels)})
    memory = method.extra_losses(engine.ctx, step)["memory"]
    total, wanted = 0.0, 0.0
    centers = head.centroids.detach()
    for x, y in zip(engine.backbone(images).detach(), labels.tolist(), strict=True):
        distances = [float((x - c).square().sum()) for c in centers]
        said_of_classes = head.hallucinator(x).detach().softmax(dim=0)
        recalled = sum(p * c for p, c in zip(said_of_classes, centers, strict=True))
        meta = 10 / math.sqrt(min(distances)) * (x + head.selector(x).detach().tanh() * recalled)
        said = [float(16 * (meta @ w) / (1 + meta.norm()) / w.norm()) for w in head.weight.detach()]
        total += softmax_loss(said, y) / 6
        wanted += (distances[y] / 2 + 0.01 * max(0.0, 10 - (sum(distances) - distances[y]) / 10)) / 6
    assert float(step.loss.detach()) == pytest.approx(total, rel=1e-3)
    assert float(memory.detach()) == pytest.approx(0.01 * wanted, rel=1e-3)
    (step.loss + memory).backward()
    assert all(p.grad is not None for p in engine.parameters() if p.requires_grad)


def test_rates(tmp_path: Path) -> None:
    engine, _, _ = Scene(installed()).build("ce/oltr(backbone_lr=0.02)", tmp_path)
    (group,) = engine.method("oltr").parameter_groups(engine.ctx)
    slow = {id(parameter) for parameter in group.parameters}
    assert group.lr == 0.02 and id(engine.head.centroids) in slow
    assert not slow & {id(engine.head.weight), id(engine.head.hallucinator.weight)}


@pytest.mark.parametrize(("text", "message"), [
    ("ride/oltr", "cannot be split"),
    ("ce/oltr+crt", "'oltr' and 'crt' cannot stand in one stack")])
def test_what_cannot_stand_together(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ltbench.UserError) as error:
        Scene(installed()).build(text, tmp_path)
    assert message in str(error.value)


def test_settings_of_the_public_code() -> None:
    """zhmiao/OpenLongTailRecognition-OLTR, config/ImageNet_LT/*.py."""
    setting = OpenLongTailed.paper(Task("imagenet-lt", None))
    assert setting is not None and setting.stage1 == "ce"
    first, later = setting.stage1_protocol, setting.protocol
    assert (first["backbone"], first["epochs"], first["batch_size"], first["lr"]) == ("resnet10", 30, 128, 0.1)
    assert (later["stage2_draws"], later["stage2_batch_size"], later["stage2_lr"]) == (60.0, 128, 0.1)
    method = OpenLongTailed(facts([2, 1]))
    assert (method.weight, method.repulsion, method.margin, method.backbone_lr) == (0.01, 0.01, 10.0, 0.01)
    assert OpenLongTailed.paper(Task("cifar100-lt", 100.0)) is None


def test_refuses_bad_values() -> None:
    for options, message in (({"scale": 0.0}, "scale must be > 0, got 0"), ({"margin": -1.0}, "margin must be >= 0, got -1")):
        with pytest.raises(ValueError, match=message):
            OpenLongTailed(facts([2, 1]), **options)
