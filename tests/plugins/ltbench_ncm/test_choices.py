"""Section 4.2's distances, eq. 3's fixed centroids, the paper track's images, and what ``ltbench tune`` may look through."""

from __future__ import annotations

import math

import pytest
import torch

import ltbench
from ltbench.method import hyperparameters
from ltbench.method.context import Bank
from ltbench.method.contract import Method
from ltbench.method.heads import DistanceClassifier
from ltbench.planning.papers import apply_papers
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task
from ltbench_ncm.lncm import LearnedNCM
from ltbench_ncm.lncm_global import GlobalMetricClassifier, GlobalMetricNCM
from ltbench_ncm.lncm_local import LocalMetricNCM
from tests.support.methods import named
from tests.support.stages import facts, later_stage, random_bank

LEARNED = ("lncm", "lncm_la", "multi_ncm", "multi_ncm_la", "lncm_global", "lncm_local", "local_projection")


def test_a_metric_around_fixed_centroids_by_hand() -> None:
    """Eq. 3 with x = (3, 4), centroids (0, 0) and (3, 0): distances 5 and 4 under the identity, 3 and 0 under (1 0)."""
    bank = Bank(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 1]))
    method = GlobalMetricNCM(facts([1, 1]), centroids="fixed")
    engine = later_stage(method, bank)
    classifier = engine.head.classifier
    assert isinstance(classifier, GlobalMetricClassifier)
    x, label = torch.tensor([[3.0, 4.0]]), torch.tensor([1])
    for metric, loss in (([[1.0, 0.0], [0.0, 1.0]], 0.474077), ([[1.0, 0.0]], 0.201413)):
        classifier.metric = torch.nn.Parameter(torch.tensor(metric))
        found = method.criterion(engine.head(x).logits, label)
        torch.testing.assert_close(found, torch.tensor([loss]), rtol=1e-5, atol=0)
    torch.autograd.backward(found.sum())
    assert classifier.prototypes.grad is None and classifier.metric.grad is not None


@pytest.mark.parametrize("method", [GlobalMetricNCM, LocalMetricNCM])
def test_what_is_learned(method: type[GlobalMetricNCM]) -> None:
    for centroids, count in (("learned", 2), ("fixed", 1)):
        built = method(facts([8, 8], 4), centroids=centroids)  # type: ignore[arg-type]
        engine = later_stage(built, random_bank(2, 4))
        (group,) = built.parameter_groups(engine.ctx)
        assert len(list(group.parameters)) == count


def test_cosine_by_hand() -> None:
    bank = Bank(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    for scale in (1.0, 10.0):
        engine = later_stage(LearnedNCM(facts([1, 1]), distance="cosine", distance_scale=scale), bank)
        # cosines .6 and .8: minus half of what they lack to 1
        torch.testing.assert_close(engine.output(torch.tensor([[3.0, 4.0]])).logits, torch.tensor([[-0.2 * scale, -0.1 * scale]]))
    squared = later_stage(named("lncm_la")(facts([1, 1]), distance="squared"), bank)
    torch.testing.assert_close(squared.output(torch.tensor([[3.0, 4.0]])).logits, torch.tensor([[-8.5, -9.0]]))
    assert isinstance(squared.head.classifier, DistanceClassifier)


def test_adjustment_between_sizes() -> None:
    shift = named("lncm_la")(facts([500, 5])).shift
    assert float(shift[0] - shift[1]) == pytest.approx(0.575646, abs=1e-6)  # log(100) / 8
    assert math.log(100) / 8 == pytest.approx(0.575646, abs=1e-6)


def test_the_paper_track_draws_augmented_images() -> None:
    task, registry = Task("cifar100-lt", 200.0, track="paper"), load_registry(strict=False)
    for name in LEARNED:
        *_, last = apply_papers(name, task, registry, {})
        assert dict(last.choices[0].values)["inputs"] == "images", name
        typed = apply_papers(f"{name}(inputs=features)", task, registry, {})[-1]
        assert dict(typed.choices[0].values)["inputs"] == "features"
        assert hyperparameters.resolve(named(name), {})["inputs"] == "features"  # the common track's
    for name in ("ncm", "bn_stats"):
        setting = named(name).paper(task)
        assert setting is not None and not setting.hyperparameters


def test_what_may_be_tuned() -> None:
    def space(name: str) -> dict[str, str]:
        method: type[Method] = named(name)
        return {key: str(found) for key, found in hyperparameters.search_space(method).items()}

    for name in LEARNED:
        several = {"displacements": "1, 5, 10, 20, 40"} if name.startswith("multi") else {}
        assert space(name) == {"tau": "0 to 1", **several}
    assert space("prototype") == space("pc_la") == {"tau": "0 to 1"}
    assert space("pc") == space("ncm") == {}
    assert [space(name) for name in ("tde", "disalign", "maxnorm", "iccl_rebalance")] == [
        {"alpha": "0 to 3"}, {"rho": "0 to 3"}, {"radius_fraction": "0 to 1"}, {"gamma": "0 to 1"}]
    assert ltbench.Uniform(0.0, 1.0).ends[:2] == (0.0, 1.0)
