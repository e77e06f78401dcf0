from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import ive
from scipy.stats import vonmises_fisher
from torch import Tensor

from ltbench.method.values import Seen
from ltbench.terms.task import Task
from ltbench_contrastive import von_mises_fisher
from ltbench_contrastive.proco import ProCo
from ltbench_contrastive.projection import ProjectingHead
from ltbench_contrastive.von_mises_fisher import LogMeanExp, concentrations, log_bessel, log_mean_exp
from tests.support.first_stages import at_epoch, batch_of, first_stage
from tests.support.stages import facts

COUNTS = [40, 30, 22, 16, 12, 9, 6, 4, 3, 2]


def on_sphere(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def test_concentrations_by_hand() -> None:
    """Two vectors at a right angle in 8 dimensions: R^2 = 1/2, so kappa = .707107 x 7.5 / .5. A single one has no spread."""
    torch.testing.assert_close(concentrations(torch.tensor([0.5**0.5, 1.0, 0.0]), 8), torch.tensor([10.606602, 1e5, 0.0]))


@pytest.mark.parametrize(("order", "error"), [(3, 1e-4), (15, 1e-7), (63, 1e-10), (511, 1e-10)])
def test_bessel_functions_by_scipys(order: int, error: float) -> None:
    x = np.logspace(-1, 5, 100)
    with np.errstate(divide="ignore"):
        expected = np.log(ive(order, x)) + x - order * np.log(x)
    found = log_bessel(torch.from_numpy(x) ** 2, order).numpy()
    known = np.isfinite(expected)  # scipy's underflows
    assert known.sum() > 30 and np.abs(found - expected)[known].max() < error
    at_zero = float(log_bessel(torch.zeros((), dtype=torch.float64), order))
    assert at_zero == pytest.approx(-order * math.log(2) - math.lgamma(order + 1), abs=error)


def slow(point: Tensor, direction: Tensor, kappa: float, tau: float) -> float:
    """Return log(C_d(kappa) / C_d(k)) by scipy's Bessel functions."""
    order = len(point) / 2 - 1
    unit = [F.normalize(vector.detach().double(), dim=0) for vector in (direction, point)]
    k = float((kappa * unit[0] + unit[1] / tau).norm())

    def log_constant(x: float) -> float:  # without (2 pi)^(-d / 2)
        return order * math.log(x) - math.log(ive(order, x)) - x

    return log_constant(kappa) - log_constant(k)


def test_logits_by_scipy() -> None:
    points, directions, kappa = on_sphere(4, 32), on_sphere(3, 32), torch.tensor([2.0, 60.0, 5000.0])
    found = log_mean_exp(points, directions, kappa, 0.1)
    expected = torch.tensor([[slow(z, mu, float(k), 0.1) for mu, k in zip(directions, kappa, strict=True)] for z in points])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_gradient_by_finite_differences_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(von_mises_fisher, "_BLOCK", 6)
    cosines = torch.linspace(-0.9, 0.9, 15, dtype=torch.float64).view(5, 3).requires_grad_()
    kappa = torch.tensor([0.5, 20.0, 300.0])
    assert torch.autograd.gradcheck(lambda cosines: LogMeanExp.apply(cosines, kappa, 0.1, 15.0), cosines)


def test_it_is_the_contrast_with_endlessly_many_draws() -> None:
    """What the paper derives: the mean of exp(z x / tau) over draws x of a class; of a class without spread, its one value."""
    points, directions, tau = on_sphere(3, 8), on_sphere(2, 8), 0.7
    kappa = [4.0, 25.0]
    found = log_mean_exp(points, directions, torch.tensor(kappa), tau)
    for i, (direction, k) in enumerate(zip(directions, kappa, strict=True)):
        mean = direction.double().numpy()
        draws = torch.from_numpy(vonmises_fisher(mean / np.linalg.norm(mean), k).rvs(200_000, random_state=0)).float()
        torch.testing.assert_close(found[:, i], (points @ draws.T / tau).exp().mean(dim=1).log(), rtol=0, atol=0.02)
    fixed = log_mean_exp(points, directions, torch.full((2,), 1e5), tau)
    torch.testing.assert_close(fixed, points @ directions.T / tau, rtol=0, atol=1e-3)


def engine_of(**options: Any) -> tuple[Any, Any]:
    engine = first_stage([ProCo(facts(COUNTS, 16), hidden=12, dim=8, **options)])
    return engine, engine.method("proco")


def views_of(digits: tuple[Tensor, Tensor], start: int) -> Any:
    images, labels = (rows[start:] for rows in digits)
    return dataclasses.replace(batch_of(images[:8], labels[:8]), views=[images[i:i + 8] for i in (0, 8, 16)])


def test_steps_of_two_epochs_by_slow_loops(digits_batch: tuple[Tensor, Tensor]) -> None:
    """The distributions are those of the epoch before and of the batches behind, whichever they are."""
    engine, method = engine_of(contrast=0.5, temperature=0.2)
    head = cast(ProjectingHead, engine.head)
    before: list[tuple[Tensor, int]] = []
    prior = torch.tensor(COUNTS) / sum(COUNTS)
    for epoch in range(3):
        method.start_epoch(at_epoch(engine, epoch))
        present: list[tuple[Tensor, int]] = []
        for start in (4 * epoch, 4 * epoch + 20):
            batch = views_of(digits_batch, start)
            with torch.no_grad():
                z = head.projector(torch.stack([engine.backbone(view) for view in batch.views[1:]], dim=1).flatten(0, 1))
                expected = F.cross_entropy(head.classifier(engine.backbone(batch.views[0])) + prior.log(), batch.labels)
            logits = torch.zeros(len(z), 10)
            for k in range(10):
                own = [vector for vector, member in before + present if member == k]
                mean = torch.stack(own).mean(0) if own else torch.zeros(8)
                kappa = float(concentrations(mean.norm(), 8)) or 1e-6
                logits[:, k] = torch.tensor([slow(point, F.normalize(mean, dim=0), kappa, 0.2) for point in z])
            expected = expected + 0.5 * F.cross_entropy(logits + prior.log(), batch.labels.repeat_interleave(2))
            loss, _, seen = engine({"main": batch})
            torch.testing.assert_close(loss.detach(), expected, rtol=1e-3, atol=1e-3)
            engine.after_step(Seen.of(seen))
            present += list(zip(z, batch.labels.repeat_interleave(2).tolist(), strict=True))
        before = present


def test_the_estimator_survives_a_restart(digits_batch: tuple[Tensor, Tensor]) -> None:
    engine, _ = engine_of()
    for start in (0, 20):
        _, _, seen = engine({"main": views_of(digits_batch, start)})
        engine.after_step(Seen.of(seen))
    restarted, method = engine_of()
    restarted.load_state_dict(engine.state_dict())
    assert method.counts.sum() == 32
    batch = views_of(digits_batch, 8)
    torch.testing.assert_close(restarted({"main": batch})[0], engine({"main": batch})[0])


def test_settings_of_the_paper() -> None:
    cifar, large = (ProCo.paper(Task(name, ratio)) for name, ratio in (("cifar100-lt", 100.0), ("imagenet-lt", None)))
    assert cifar is not None and large is not None
    assert (cifar.protocol["lr"], cifar.protocol["weight_decay"], cifar.protocol["batch_size"]) == (0.3, 2e-4, 256)
    assert cifar.alternatives == {"epochs": {400: {"milestones": (0.9, 0.95)}}}
    assert (large.hyperparameters["dim"], large.hyperparameters["classifier"]) == (1024, "cosine")
