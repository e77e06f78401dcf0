"""The figures of section 5.2 and table 1, where no argument is given."""

from __future__ import annotations

import math

import pytest

from ltbench.method.heads import DistanceClassifier
from ltbench_ncm.learned import LearnedDistance
from ltbench_ncm.lncm import LearnedNCM
from ltbench_ncm.lncm_global import GlobalMetricNCM
from ltbench_ncm.lncm_local import LocalMetricNCM
from ltbench_ncm.local_projection import LocalProjection
from ltbench_ncm.multi_ncm import MultiNCM
from tests.support.methods import named
from tests.support.stages import facts, later_stage, previous_stage, random_bank

PLAIN = [LearnedNCM, GlobalMetricNCM, LocalMetricNCM, LocalProjection, MultiNCM]
ADJUSTED = [named("lncm_la"), named("multi_ncm_la")]


@pytest.mark.parametrize(("kind", "tau"), [*((kind, 0.0) for kind in PLAIN), *((kind, 0.125) for kind in ADJUSTED)])
def test_rate_clipping_and_adjustment(kind: type[LearnedDistance], tau: float) -> None:
    bank = random_bank(2, 3)
    below = previous_stage(DistanceClassifier(3, 2), 3, 2)  # what the displaced ones stand on
    engine = later_stage(kind(facts([256, 1], 3)), bank, below)
    method = engine.stack.methods[0]
    assert isinstance(method, kind)
    assert method.shift.tolist() == pytest.approx([tau * math.log(256), 0.0])  # tau log N_y
    (group,) = method.parameter_groups(engine.ctx)
    assert (group.lr, group.clip_norm, group.weight_decay) == (5.0, 0.1, 0.0)


@pytest.mark.parametrize("kind", [MultiNCM, named("multi_ncm_la")])
def test_twenty_displacements(kind: type[MultiNCM]) -> None:
    assert kind(facts([2, 1])).displacements == 20
