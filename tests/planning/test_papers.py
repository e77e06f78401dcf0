from __future__ import annotations

import dataclasses

import pytest

from ltbench.data.cifar import Cifar100LT
from ltbench.errors import UserError
from ltbench.method.contract import PaperSetting
from ltbench.planning.plan import RunPlan, plan_run
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from tests.support.toys import Weights, toy_registry

TASK = Task("cifar100-lt", 100.0, track="paper", protocol="common")
PROTOCOL = Protocol("common", backbone="resnet32", epochs=60)


def plan(text: str, **options: object) -> RunPlan:
    return plan_run(text, TASK, PROTOCOL, toy_registry(), Cifar100LT(), **options)  # type: ignore[arg-type]


def test_a_first_stage_without_a_paper_is_trained_as_the_later_ones_paper_does() -> None:
    found = plan("weights/under")
    assert (found.stages[0].protocol.lr, found.stages[0].protocol.epochs) == (0.3, 90)
    assert found.stages[1].protocol.stage2_draws == 3.0
    assert str(found.expression) == "weights/under(scale=5.0)+shift"
    own = plan("tuned/under")  # a paper of its own comes first
    assert (own.stages[0].protocol.lr, own.stages[0].protocol.epochs) == (0.01, 7)


def test_a_later_stage_without_a_paper_goes_on_as_the_one_below() -> None:
    assert plan("under/drift").stages[2].protocol.stage2_draws == 3.0


def test_baselines_run_on_the_terms_of_a_paper_that_is_named() -> None:
    found = plan("tuned/retrain", paper="under")
    assert (found.stages[0].protocol.lr, found.stages[0].protocol.epochs) == (0.3, 90)  # not the 7 epochs of its own paper
    assert found.stages[0].protocol.weight_decay == 0.5  # which is the method, not its paper
    assert found.stages[1].protocol.stage2_draws == 3.0 and not found.stages[1].protocol.eval_flip
    assert str(found.expression) == "tuned/retrain"  # no companions of papers whose terms these are not
    assert str(plan("margin/retrain", paper="under").expression) == "margin(margin=0.25,steps=9)/retrain"  # its own figures stay
    assert str(plan("margin/under", paper="under").expression) == "margin(margin=0.25,steps=9)/under(scale=5.0)+shift"
    assert found.paper == "under" and found.file_name != plan("tuned/retrain").file_name
    first = plan("base", paper="tuned")
    assert (first.stages[0].protocol.lr, first.stages[0].protocol.weight_decay) == (0.01, PROTOCOL.weight_decay)


def test_companions_come_on_the_terms_of_who_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = PaperSetting(protocol={"lr": 0.2, "epochs": 5}, companions=("tuned",))  # whose paper says .01 and 7
    monkeypatch.setattr(Weights, "paper", classmethod(lambda cls, task: setting))
    for text in ("weights", "tuned+weights"):
        found = plan(text)
        assert str(found.expression) == "tuned+weights"
        assert (found.stages[0].protocol.lr, found.stages[0].protocol.epochs) == (0.2, 5)
    monkeypatch.setattr(Weights, "paper", classmethod(lambda cls, task: PaperSetting(protocol={"lr": 0.2})))
    with pytest.raises(UserError, match=r"the papers of tuned\+weights disagree on lr: 0.01 and 0.2"):
        plan("tuned+weights")


def test_what_is_set_of_a_companion_holds() -> None:
    found = plan("under", settings={"shift": {"tau": "3"}})
    assert [str(choice) for choice in found.stages[1].choices] == ["under(scale=5.0)", "shift(tau=3.0)"]


def test_a_paper_says_what_may_be_asked_of_it() -> None:
    found = plan("base/under", asked={"epochs": 200, "backbone": "resnet20"})
    assert found.stages[0].protocol.epochs == 200
    assert {stage.protocol.backbone for stage in found.stages} == {"resnet20"}
    assert found.protocol.name == "paper"
    assert plan("base/under", asked={"epochs": 90}).key == plan("base/under").key
    own = plan("tuned")  # whose paper says nothing of the backbone
    assert plan("tuned", asked={"backbone": own.protocol.backbone, "epochs": own.protocol.epochs}).key == own.key
    with pytest.raises(UserError, match=r"epochs of base/under must be one that its paper prints rows for \(90, 200\) in the "
                                        "paper track, got 100"):
        plan("base/under", asked={"epochs": 100})
    with pytest.raises(UserError, match=r"backbone of tuned must be .* \(nothing else than its own\)"):
        plan("tuned", asked={"backbone": "resnet20"})


def test_a_paper_that_says_nothing_of_the_task_cannot_be_named() -> None:
    with pytest.raises(UserError, match="the paper of weights states no setting for cifar100-lt@100"):
        plan("base", paper="weights")


def test_noise_on_test_images_changes_the_run_and_not_the_training() -> None:
    noisy = dataclasses.replace(PROTOCOL, eval_noise=0.2)
    clean, other = (plan_run("base/under", TASK, terms, toy_registry(), Cifar100LT()) for terms in (PROTOCOL, noisy))
    assert [stage.key for stage in clean.stages] == [stage.key for stage in other.stages]
    assert clean.key != other.key and clean.file_name != other.file_name
    assert other.protocol.eval_noise == other.stages[-1].protocol.eval_noise == 0.2
