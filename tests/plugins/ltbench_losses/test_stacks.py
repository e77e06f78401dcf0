"""What the losses stand beside and below on real digits, and what is refused in one line."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.planning.plan import plan_run
from ltbench.terms.task import Task
from ltbench.testing import scene

WORK = ["vs+drw/crt", "cdt+mixup/ncm", "ib+focal(gamma=1)+drw", "ib(start=0.0)+mixup/crt", "eql(threshold=0.1)+mixup+drw/ncm",
        "seesaw+cb/tau_norm", "gcl+mixup+drw/crt", "gcl+drs/ncm", "arb+mixup+drw/lws", "reslt+balanced_softmax+drw/crt",
        "reslt+ldam", "ce/seesaw+drw", "ldam/arb", "max_separation+vs+drw/crt"]


@pytest.fixture(scope="module")
def place() -> Iterator[scene.Scene]:
    yield scene.Scene(scene.installed())


@pytest.mark.parametrize("text", WORK)
def test_they_stand_together(text: str, place: scene.Scene) -> None:
    with scene.scratch() as folder:
        stage = place.train(text, folder)
        assert all(math.isfinite(float(row["loss"])) for row in stage.curve if "loss" in row)


@pytest.mark.parametrize(("text", "message"), [
    ("vs+la", "'vs' and 'la' cannot stand in one stack: both own 'criterion'"),
    ("seesaw+focal", "'seesaw' and 'focal' cannot stand in one stack: both own 'criterion'"),
    ("gcl+ldam", "'gcl' and 'ldam' cannot stand in one stack: both own 'make_classifier'"),
    ("arb+balanced_softmax", "'arb' and 'balanced_softmax' cannot stand in one stack: both own 'criterion'"),
    ("ib+bbn", "'ib' and 'bbn' cannot stand in one stack: both own 'step'"),
    ("reslt+ride", "'reslt' and 'ride' cannot stand in one stack: both own 'build_head'"),
    ("max_separation+gcl", "'max_separation' and 'gcl' cannot stand in one stack: both own 'make_classifier'"),
    ("ce/ib", "'ib' fits the first stage only, got it in stage 2"),
    ("gcl/tau_norm", "'tau_norm' must stand on a stage that leaves 'linear', got 'gcl', which leaves 'cosine'"),
    ("reslt/lws", "'lws' must stand on a stage that leaves 'linear', got 'reslt', which leaves 'ResidualHead'"),
    ("max_separation/maxnorm",
     "'maxnorm' must stand on a stage that leaves 'linear', got 'max_separation', which leaves 'SimplexClassifier'"),
])
def test_what_cannot_stand_together_is_refused_in_one_line(text: str, message: str, place: scene.Scene) -> None:
    with pytest.raises(UserError) as caught:
        plan_run(text, Task("digits-lt", 20.0), scene.PROTOCOL, place.registry, DigitsLT())
    assert str(caught.value) == message
