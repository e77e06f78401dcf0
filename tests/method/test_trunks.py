"""Several trunks, a pupil of several teachers, attention on maps in a second stage, experts that begin as what was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltbench.errors import UserError
from ltbench.method.stack import Stack
from ltbench.planning.plan import StagePlan
from ltbench.testing import check_two_processes, scene
from ltbench.testing.kit import run_check
from ltbench.testing.subject import Subject
from ltbench.training.budget import budget_of
from ltbench.training.engine import Engine
from tests.support import trunks
from tests.support.stages import facts

PLUGINS = ("tests.support.trunks",)
NAMES = tuple(kind.name for kind in trunks.METHODS)
IMAGES = torch.randn(3, 1, 8, 8)


def built(name: str, folder: Path, options: str = "") -> tuple[Engine, StagePlan]:
    """Return the engine of a method's stage as it begins."""
    subject = Subject(name, PLUGINS)
    engine, _, plan = subject.usual.build(subject.expressions[0] + options, folder)
    return engine.eval(), plan


@pytest.mark.parametrize("check", ["trains", "shapes", "deterministic", "save_and_load", "resumes", "composes", "accumulation"])
@pytest.mark.parametrize("name", NAMES)
def test_they_pass_the_kit(name: str, check: str) -> None:
    result = run_check(check, name, plugins=PLUGINS)
    assert result.ok, str(result)


@pytest.mark.slow
def test_they_do_the_same_on_two_processes() -> None:
    found = check_two_processes(NAMES, plugins=PLUGINS)
    assert [str(result) for result in found.values() if not result.ok] == []


def test_teachers_begin_with_weights_of_their_own_and_the_first_with_the_usual_ones(tmp_path: Path) -> None:
    engine, _ = built("trunks_teachers", tmp_path)
    first, second = engine.backbone.experts
    usual, _, _ = Subject("ce").usual.build("ce", tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), usual.backbone.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_a_pupil_is_trained_anew_on_the_terms_of_a_first_stage(tmp_path: Path) -> None:
    engine, plan = built("trunks_pupil", tmp_path)
    assert engine.ctx.previous is not None and engine.ctx.previous.output(IMAGES).extra["expert_logits"].shape == (3, 2, 10)
    assert engine.backbone.feature_dim == 64 and engine.ctx.facts.feature_dim == 64  # the teachers' is 128
    first, _ = built("trunks_teachers", tmp_path)
    assert not torch.equal(next(engine.backbone.parameters()), next(first.backbone.experts[0].parameters()))
    protocol = plan.protocol.replace(epochs=7, batch_size=9, stage2_draws=3.0, stage2_batch_size=4)
    assert (plan.number, plan.trial.ranks_as) == (2, 1)
    budget = budget_of(protocol, plan.trial.ranks_as, 90)
    assert (budget.epochs, budget.steps, budget.batch_size) == (7, 10, 9)


def test_the_key_of_a_pupil_holds_what_a_first_stage_does_and_its_teachers() -> None:
    def keys(**changes: object) -> list[str]:
        protocol = scene.PROTOCOL.replace(**changes)
        plan = scene.plan("trunks_teachers/trunks_pupil", scene.installed(PLUGINS), protocol=protocol)
        return [stage.key for stage in plan.stages]

    assert keys(stage2_lr=0.3) == keys()
    assert all(one != other for one, other in zip(keys(epochs=1), keys(), strict=True))


def test_attention_begins_as_the_mean_that_it_replaces_and_may_leave_the_trunk_alone(tmp_path: Path) -> None:
    engine, _ = built("trunks_attend", tmp_path)
    assert engine.ctx.previous is not None
    torch.testing.assert_close(engine.backbone(IMAGES), engine.ctx.previous.backbone(IMAGES))
    assert all(parameter.requires_grad for parameter in engine.backbone.parameters())
    fixed, _ = built("trunks_attend", tmp_path, "(fixed=true)")
    trunk, last, attention = fixed.backbone.stage
    assert not any(p.requires_grad for p in trunk.parameters())
    assert all(p.requires_grad for part in (last, attention) for p in part.parameters())


def test_heirs_begin_as_what_was_trained_and_share_its_trunk_alone(tmp_path: Path) -> None:
    engine, _ = built("trunks_heirs", tmp_path)
    assert engine.ctx.previous is not None
    expected = engine.ctx.previous.backbone(IMAGES)
    torch.testing.assert_close(engine.backbone(IMAGES), torch.cat([expected, expected], dim=1))
    learned = {name.split(".")[0] for name, p in engine.backbone.named_parameters() if p.requires_grad}
    assert learned == {"experts"}


def test_a_backbone_is_built_only_where_it_learns() -> None:
    class Idle(trunks.Attend):
        """Build a backbone and ask for a frozen one."""

        name = "trunks_idle"
        backbone = None

    with pytest.raises(UserError, match="'trunks_idle' builds a backbone, which a later stage does only where it is tuned or "
                                        "fresh, got frozen in stage 2"):
        Stack([Idle(facts([2, 1]))], 2)
