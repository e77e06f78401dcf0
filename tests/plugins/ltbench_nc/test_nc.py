from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import nn

import ltbench
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from ltbench.training.optimization import Optimization
from ltbench_nc.losses import between_loss
from ltbench_nc.nc import NeuralCollapse
from tests.support.scenes import facts, stage, step_of

COUNTS = [40, 10, 5]
FEATURES = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 5.0]])
LABELS = torch.tensor([0, 0, 1, 2])


def losses_of(method: NeuralCollapse, *, epoch: int = 5, chunks: int = 1, experts: int = 0) -> dict[str, float]:
    features = torch.cat([FEATURES] * max(1, experts), dim=1)
    engine = stage(method, features.shape[1])
    engine.ctx.epoch = epoch
    losses = method.extra_losses(engine.ctx, step_of(features, LABELS, chunks=chunks, experts=experts))
    return {name: float(value) for name, value in losses.items()}


def test_by_hand() -> None:
    # Means (1, 0), (0, 3), (0, 5); L_W = (1 + 1) / 40, over 3 classes, and 4 of 55 images are here.
    # Around (1/3, 8/3) the means are (2, -8), (-1, 1), (-1, 7), over 3.
    first = math.acos((-2 - 56) / math.sqrt(68 * 50))  # class 0 to class 2
    nearest = [min(math.acos((-2 - 8) / math.sqrt(68 * 2)), first), math.acos((1 + 7) / math.sqrt(2 * 50))]
    expected = -(nearest[0] + 2 * nearest[1]) / 3
    losses = losses_of(NeuralCollapse(facts(COUNTS), within_weight=0.1, between_weight=2.0))
    assert losses == pytest.approx({"nc_within": 0.1 * 2 / 40 / 3 * 55 / 4, "nc_between": 2 * expected})


def test_batches_average_to_the_whole_training_set() -> None:
    # Eq. 13 over all N images with fixed means, divided by C, against the mean over all batches of one epoch.
    counts = [6, 4, 2]
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    features, method = torch.randn(12, 4), NeuralCollapse(facts(counts), between_weight=0.0, within_weight=1.0, start=0.0,
                                                          means="learned")
    engine = stage(method, 4)
    assert method.class_means is not None
    whole = sum(float((features[labels == k] - method.class_means[k].detach()).square().sum(dim=1).mean()) for k in range(3)) / 3
    for size in (3, 4, 12):
        parts = torch.randperm(12).split(size)
        batches = [float(method.extra_losses(engine.ctx, step_of(features[part], labels[part]))["nc_within"]) for part in parts]
        assert sum(batches) / len(batches) == pytest.approx(whole)


def test_each_term_alone_and_when_it_starts() -> None:
    assert set(losses_of(NeuralCollapse(facts(COUNTS), within_weight=0))) == {"nc_between"}
    assert set(losses_of(NeuralCollapse(facts(COUNTS), between_weight=0))) == {"nc_within"}
    assert losses_of(NeuralCollapse(facts(COUNTS)), epoch=4) == {}  # starts at half of ten epochs
    assert losses_of(NeuralCollapse(facts(COUNTS), start=0.0), epoch=0)


def test_experts_one_by_one_or_their_mean() -> None:
    one = losses_of(NeuralCollapse(facts(COUNTS)))
    each = losses_of(NeuralCollapse(facts(COUNTS), experts="each"), experts=3)
    assert each == pytest.approx({name: 3 * value for name, value in one.items()})
    assert losses_of(NeuralCollapse(facts(COUNTS)), experts=3) == pytest.approx(one)  # the mean of three that agree
    # Two that do not: (1, 0) and (0, 1) around a center at the origin.
    expected: dict[Literal["mean", "each"], float] = {"mean": 0.5, "each": 2.0}
    for experts, value in expected.items():
        method = NeuralCollapse(facts([1, 1]), within_weight=1.0, between_weight=0.0, start=0.0, means="learned",
                                class_sizes="batch", experts=experts)
        engine = stage(method, 4)
        method.class_means = nn.Parameter(torch.zeros(2, 2 if experts == "mean" else 4))
        step = step_of(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), torch.tensor([0]), experts=2)
        assert 2 * float(method.extra_losses(engine.ctx, step)["nc_within"]) == pytest.approx(value)  # L_W is over C = 2 classes


@pytest.mark.parametrize(("class_sizes", "loss", "center"), [("batch", 1.0, 1.5), ("training", 4.0, 3.0)])
def test_a_learned_center_by_hand(class_sizes: Literal["training", "batch"], loss: float, center: float) -> None:
    # Two images of class 0 at 3, its center at 1; C = 4, N = 8, n_0 = 2. (1/4)(1/2)(4 + 4), or (8/2)/(4 2) (4 + 4).
    for weight in (0.01, 0.2):
        method = NeuralCollapse(facts([2, 2, 2, 2], 1), within_weight=weight, between_weight=0.0, start=0.0, means="learned",
                                class_sizes=class_sizes)
        engine = stage(method, 1)
        assert method.class_means is not None
        with torch.no_grad():
            method.class_means.fill_(1.0)
        found = method.extra_losses(engine.ctx, step_of(torch.full((2, 1), 3.0), torch.tensor([0, 0])))["nc_within"]
        assert float(found) == pytest.approx(weight * loss)
        found.backward()
        (group,) = method.parameter_groups(engine.ctx)
        assert method.class_means.grad is not None and group.lr is not None
        moved = method.class_means.detach() - group.lr * method.class_means.grad
        assert moved.flatten().tolist() == pytest.approx([center, 1, 1, 1])  # whatever lambda_1 is


@pytest.mark.parametrize(("means", "pull"), [("batch", 0.0), ("learned", 1.0), ("running", 0.25)])
def test_an_image_alone_of_its_class(means: Literal["batch", "learned", "running"], pull: float) -> None:
    # At 3, its center at 1, C = 4: 2 (3 - 1) / 4; a running center comes half of the way, and so does its gradient.
    method = NeuralCollapse(facts([2, 2, 2, 2], 1), within_weight=1.0, between_weight=0.0, start=0.0, means=means,
                            class_sizes="batch")
    engine = stage(method, 1)
    with torch.no_grad():
        for center in (method.class_means, getattr(method, "centers", None)):
            if center is not None:
                center.fill_(1.0)
    if means == "running":
        method.placed.fill_(True)
    feature = torch.full((1, 1), 3.0, requires_grad=True)
    method.extra_losses(engine.ctx, step_of(feature, torch.tensor([0])))["nc_within"].backward()
    assert feature.grad is not None and float(feature.grad) == pytest.approx(pull)


def test_running_centers_over_two_steps() -> None:
    method = NeuralCollapse(facts(COUNTS), within_weight=1.0, between_weight=1.0, start=0.0, means="running")
    engine = stage(method, 2)

    def take(features: list[list[float]], labels: list[int]) -> dict[str, float]:
        given, of = torch.tensor(features), torch.tensor(labels)
        losses = method.extra_losses(engine.ctx, step_of(given, of))
        before = method.centers.clone()
        with torch.no_grad():
            method.after_step(engine.ctx, ltbench.Seen(given, of, torch.arange(len(of))))
        assert not before.equal(method.centers)  # the step is over before they move
        return {name: float(value) for name, value in losses.items()}

    first = take([[2.0, 0.0], [4.0, 0.0], [0.0, 1.0]], [0, 0, 1])  # places two classes; the third has no center yet
    assert method.centers.tolist() == [[3, 0], [0, 1], [0, 0]] and method.placed.tolist() == [True, True, False]
    assert first["nc_between"] == pytest.approx(-math.pi)
    second = take([[5.0, 0.0], [1.0, 1.0]], [0, 2])
    assert method.centers.tolist() == [[4, 0], [0, 1], [1, 1]]  # halfway; as it was; placed
    assert second["nc_within"] == pytest.approx((5 - 4) ** 2 * 55 / 2 / (3 * 40))  # class 2 lies on its center
    assert second["nc_between"] == pytest.approx(float(between_loss(torch.tensor([[4.0, 0], [0, 1], [1, 1]]), torch.ones(3) > 0)))
    method.start_epoch(engine.ctx)
    assert method.centers.tolist() == [[4, 0], [0, 1], [1, 1]]  # they outlive the epoch


def test_an_image_is_as_often_alone_of_its_class_as_the_card_says() -> None:
    counts = torch.tensor([int(500 * 0.01 ** (k / 99)) for k in range(100)], dtype=torch.float64)
    total = float(counts.sum())
    rest = torch.arange(127, dtype=torch.float64)  # the other images of a batch of 128, drawn without replacement
    alone = torch.stack([((total - n - rest) / (total - 1 - rest)).prod() for n in counts])
    splits = [counts > 100, (counts >= 20) & (counts <= 100), counts < 20]
    assert total == 10847 and [float(alone[split].mean()) for split in splits] == pytest.approx([0.1, 0.587, 0.899], abs=6e-4)


@pytest.mark.parametrize("class_sizes", ["training", "batch"])
def test_parts_of_a_batch_average_to_the_whole(class_sizes: Literal["training", "batch"]) -> None:
    """A second part like the first changes neither means nor angles: twice the sum, over a batch of twice the size."""
    one, two = (losses_of(NeuralCollapse(facts(COUNTS), class_sizes=class_sizes), chunks=chunks) for chunks in (1, 2))
    assert two == pytest.approx(one)


def test_mixed_images_belong_to_both_classes() -> None:
    # One image, 3/4 of class 0 and 1/4 of class 1, beside one plain image of each.
    method = NeuralCollapse(facts([8, 2]), within_weight=1.0, between_weight=1.0, start=0.0)
    engine = stage(method, 1)
    features, labels = torch.tensor([[0.0], [4.0], [1.0]]), torch.tensor([0, 1, 0])
    targets = [(labels, torch.tensor([1.0, 1.0, 0.75])), (torch.tensor([0, 1, 1]), torch.tensor([0.0, 0.0, 0.25]))]
    losses = method.extra_losses(engine.ctx, step_of(features, labels, targets))
    means = [0.75 / 1.75, 4.25 / 1.25]
    expected = (means[0] ** 2 + 0.75 * (1 - means[0]) ** 2) / 8 + ((4 - means[1]) ** 2 + 0.25 * (1 - means[1]) ** 2) / 2
    assert float(losses["nc_within"]) == pytest.approx(expected / 2 * 10 / 3)  # two classes, 3 of 10 images
    assert losses["nc_between"] == torch.tensor(-math.pi)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 1, 0], [2, 0, 1, 2]])
@pytest.mark.parametrize("means", ["batch", "learned", "running"])
@pytest.mark.parametrize("dead", [False, True])
def test_few_classes_or_dead_features_train_on(labels: list[int], means: str, dead: bool) -> None:
    method = NeuralCollapse(facts(COUNTS), start=0.0, means=means)  # type: ignore[arg-type]
    engine = stage(method, 6)
    features = (torch.zeros(4, 6) if dead else torch.randn(4, 6)).requires_grad_(True)
    losses = method.extra_losses(engine.ctx, step_of(features, torch.tensor(labels)))
    sum(losses.values(), torch.zeros(())).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert features.grad is not None and torch.isfinite(features.grad).all()


def test_gradients_reach_features_through_their_means() -> None:
    method = NeuralCollapse(facts(COUNTS), within_weight=0.0, start=0.0)
    engine = stage(method, 8)
    features, labels = torch.randn(30, 8, requires_grad=True), torch.arange(30) % 3
    optimizer = torch.optim.SGD([features], lr=20.0)
    for _ in range(200):
        optimizer.zero_grad()
        loss = method.extra_losses(engine.ctx, step_of(features, labels))["nc_between"]
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) == pytest.approx(-0.5 * 2 * math.pi / 3, abs=0.02)  # three means at 120 degrees


def test_learned_means_step_as_the_public_code_does() -> None:
    # Their gradient is that of lambda_1 L_W + lambda_2 L_B, divided by lambda_1, at a rate of .5 that no schedule changes.
    method = NeuralCollapse(facts(COUNTS), within_weight=0.02, between_weight=0.5, start=0.0, means="learned",
                            class_sizes="batch")
    engine = stage(method, 2)
    assert method.class_means is not None
    before = method.class_means.detach().clone()
    slow = before.clone().requires_grad_(True)
    within = sum((FEATURES[LABELS == k] - slow[k]).square().sum(dim=1).mean() for k in range(3)) / 3
    (within * 0.02 + 0.5 * between_loss(slow, torch.ones(3, dtype=torch.bool))).backward()
    assert slow.grad is not None
    optimization = Optimization(engine, Protocol("common", "none", epochs=10), 100)
    optimization.set_rates(0)  # the first step of a warm-up
    losses = method.extra_losses(engine.ctx, step_of(FEATURES, LABELS))
    sum(losses.values(), torch.zeros(())).backward()
    optimization.optimizer.step()
    torch.testing.assert_close(method.class_means.detach(), before - 0.5 * slow.grad / 0.02)


def test_learned_means_wait_with_a_zero_gradient() -> None:
    method = NeuralCollapse(facts(COUNTS), means="learned")
    engine = stage(method, 2)
    (waiting,) = method.extra_losses(engine.ctx, step_of(FEATURES, LABELS)).values()
    waiting.backward()
    assert method.class_means is not None and method.class_means.grad is not None
    assert waiting.detach() == 0 and not method.class_means.grad.any()


def test_means_are_as_wide_as_what_the_classifier_reads() -> None:
    method = NeuralCollapse(facts(COUNTS), means="learned")
    norm = nn.BatchNorm1d(2)
    engine = stage(method, 5, projection=nn.Sequential(nn.Linear(5, 2), norm))
    assert method.class_means is not None and method.class_means.shape == method.sums.shape == (3, 2)
    assert engine.head.training and norm.num_batches_tracked == 0


def test_the_curve_shows_the_angles_of_the_epoch() -> None:
    method = NeuralCollapse(facts(COUNTS))
    engine = stage(method, 2)
    assert method.measure(engine.ctx) == {}  # before the first step
    for rows in ([0, 2], [1, 3]):  # the class means of the epoch are those of both batches
        method.after_step(engine.ctx, ltbench.Seen(FEATURES[rows], LABELS[rows], torch.tensor(rows)))
    assert method.sums.tolist() == [[2, 0], [0, 3], [0, 5]] and method.counts.tolist() == [2, 1, 1]
    pairs = [math.acos(x) for x in ((-2 - 8) / math.sqrt(68 * 2), (-2 - 56) / math.sqrt(68 * 50), 8 / math.sqrt(2 * 50))]
    expected = {"smallest_angle": math.degrees(min(pairs)), "mean_angle": math.degrees(sum(pairs) / 3)}
    assert method.measure(engine.ctx) == pytest.approx(expected)
    method.start_epoch(engine.ctx)
    assert method.measure(engine.ctx) == {}


def test_several_of_one_class_in_a_batch_are_summed_once_each() -> None:
    method = NeuralCollapse(facts(COUNTS))
    engine = stage(method, 3)
    features, labels = torch.randn(20, 3), torch.randint(3, (20,))
    for part in (slice(0, 12), slice(12, 20)):
        method.after_step(engine.ctx, ltbench.Seen(features[part], labels[part], torch.arange(20)[part]))
    slow = torch.stack([features[labels == k].sum(dim=0) for k in range(3)])
    torch.testing.assert_close(method.sums, slow)
    assert method.counts.tolist() == torch.bincount(labels, minlength=3).tolist()


def test_table_1() -> None:
    def values(dataset: str) -> dict[str, object]:
        setting = NeuralCollapse.paper(Task(dataset, None))
        assert setting is not None and setting.companions == ("mixup",)
        assert (setting.protocol["weight_decay"], setting.protocol["epochs"]) == (5e-3, 200)
        given = dict(setting.hyperparameters)
        assert given.pop("means") == "learned"  # centers outlive a batch (section 4.1.1)
        return given

    small = {"within_weight": 0.01, "between_weight": 0.1, "start": 0.0}
    large = {"within_weight": 0.01, "between_weight": 0.5, "start": 0.5}
    assert values("cifar10") == values("cifar10-lt") == small
    assert values("cifar100") == values("cifar100-lt") == large
    assert values("imagenet-lt") == {"within_weight": 0.05, "between_weight": 1.0, "start": 0.5}
    assert NeuralCollapse.paper(Task("digits-lt", 20.0)) is None


@pytest.mark.parametrize(("dataset", "expected"), [
    *((name, {"backbone": "resnet32", "batch_size": 128, "lr": 0.1, "schedule": "step", "milestones": (160 / 200, 180 / 200),
              "gamma": 0.1, "warmup": 5 / 200, "augmentation": ("crop", "flip")})
      for name in ("cifar10", "cifar10-lt", "cifar100", "cifar100-lt")),
    ("imagenet-lt", {"backbone": "timm:resnext50_32x4d", "batch_size": 256, "lr": 0.05, "schedule": "cosine", "warmup": 5 / 200,
                     "augmentation": ("random_resized_crop", "flip", "jitter", "randaugment")})])
def test_section_4_1_1(dataset: str, expected: dict[str, object]) -> None:
    setting = NeuralCollapse.paper(Task(dataset, None))
    assert setting is not None
    assert setting.protocol == {"epochs": 200, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-3, **expected}
    assert setting.alternatives == ({} if dataset == "imagenet-lt" else {"backbone": ("resnet18cifar",)})


def test_refuses_bad_values() -> None:
    for options, message in (({"within_weight": -1.0}, "within_weight must be >= 0, got -1"),
                             ({"between_weight": math.nan}, "between_weight must be >= 0, got nan"),
                             ({"start": 1.5}, r"start must be in \[0, 1\], got 1.5"),
                             ({"means_lr": 0.0}, "means_lr must be > 0, got 0")):
        with pytest.raises(ValueError, match=message):
            NeuralCollapse(facts(COUNTS), **options)
    with pytest.raises(ValueError, match="within_weight must be > 0 where means are learned .*, got 0"):
        NeuralCollapse(facts(COUNTS), within_weight=0.0, means="learned")
    with pytest.raises(ltbench.UserError, match="need the optimizer sgd, got adamw"):
        stage(NeuralCollapse(facts(COUNTS), means="learned"), 2, Protocol("common", "none", epochs=1, optimizer="adamw"))
