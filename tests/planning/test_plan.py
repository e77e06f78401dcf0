from __future__ import annotations

import dataclasses
import re

import pytest

from ltbench.data.cifar import Cifar100LT
from ltbench.errors import UserError
from ltbench.planning.plan import RunPlan, plan_run
from ltbench.terms.protocol import Protocol
from ltbench.terms.task import Task
from tests.support.toys import toy_registry

PROTOCOL = Protocol("common", backbone="resnet32", epochs=200)
TASK = Task("cifar100-lt", 100.0, protocol="common")


def plan(text: str, task: Task = TASK, protocol: Protocol = PROTOCOL, **options: object) -> RunPlan:
    return plan_run(text, task, protocol, toy_registry(), Cifar100LT(), **options)  # type: ignore[arg-type]


def test_a_plan_on_listed_images_has_keys_that_name_them() -> None:
    bare = plan("base/shift/retrain")
    assert bare.on(None) is bare
    first, second = bare.on("a"), bare.on("b")
    keys = [[stage.key for stage in each.stages] for each in (bare, first, second)]
    assert all(one == two != three for one, two, three in keys)  # shift changes predictions alone
    assert len({*keys[0], *keys[1], *keys[2]}) == 6 and len({bare.key, first.key, second.key}) == 3
    assert [stage.previous for stage in first.stages] == [None, *first.stages[:2]]
    assert keys[1] == [stage.key for stage in plan("base/shift/retrain").on("a").stages]
    assert plan("base").on("a").stages[0].key == keys[1][0]  # still shared
    assert first.file_name == bare.file_name


def test_second_stages_share_the_first() -> None:
    first = {plan(text).stages[0].key for text in ("base", "retrain", "base/drift", "base/shift", "shift", "retrain/base")}
    assert len(first) == 1
    assert plan("margin").stages[0].key not in first


def test_what_changes_predictions_alone_shares_the_stage_and_not_the_run() -> None:
    shifted = plan("base/shift")
    assert shifted.stages[1].key == shifted.stages[0].key == plan("base").stages[0].key
    assert len({plan(text).key for text in ("base", "base/shift", "base/shift(tau=2)")}) == 3


@pytest.mark.parametrize("change", [{"seed": 1}, {"split_seed": 1}, {"imbalance_ratio": 50.0}, {"imbalance": "step"}])
def test_the_key_holds_the_task(change: dict[str, object]) -> None:
    assert plan("base", dataclasses.replace(TASK, **change)).stages[0].key != plan("base").stages[0].key  # type: ignore[arg-type]


def test_the_key_holds_what_trains_and_nothing_else() -> None:
    first = plan("retrain").stages
    changed = plan("retrain", protocol=PROTOCOL.replace(stage2_lr=1.0)).stages
    assert changed[0].key == first[0].key and changed[1].key != first[1].key
    flipped = plan("retrain", protocol=PROTOCOL.replace(eval_flip=True, name="common"))
    assert [s.key for s in flipped.stages] == [s.key for s in first]
    assert flipped.key != plan("retrain").key
    assert plan("base", precision="bf16").stages[0].key != first[0].key
    assert plan("base", external="abc").stages[0].key != first[0].key


def test_an_override_enters_the_stage_and_leaves_the_tables_protocol() -> None:
    tuned = plan("tuned/tuned+retrain")
    assert [dict(stage.overrides) for stage in tuned.stages] == [{"weight_decay": 0.5}, {"stage2_weight_decay": 0.5}]
    assert tuned.stages[0].protocol.weight_decay == 0.5
    assert tuned.protocol == PROTOCOL
    assert tuned.stages[0].key != plan("base").stages[0].key


def test_paper_track_takes_the_papers_own_setting() -> None:
    task = dataclasses.replace(TASK, track="paper")
    found = plan("retrain", task)
    assert str(found.expression) == "tuned/retrain+shift"
    assert (found.stages[0].protocol.lr, found.stages[0].protocol.epochs) == (0.01, 7)
    assert found.stages[1].protocol.stage2_draws == 1.0
    assert found.protocol.name == "paper"
    with pytest.raises(UserError, match="no method of weights states a paper setting"):
        plan("weights", task)


def test_paper_track_keeps_what_was_typed_and_passes_over_stages_that_only_predict() -> None:
    task = dataclasses.replace(TASK, track="paper")
    assert str(plan("retrain/shift", task).expression) == "tuned/retrain+shift/shift"
    typed = plan("margin(steps=3)+tuned", task)
    assert dict(typed.expression.stages[0][0].values)["steps"] == 3
    assert str(typed.expression) == "margin(margin=0.25)+tuned"  # the paper's margin; its steps would be 9, typed is the default
    assert str(plan("margin+tuned", task).expression) == "margin(margin=0.25,steps=9)+tuned"
    assert plan("retrain", task).protocol.eval_flip  # of the last stage, which is what is evaluated
    assert plan("retrain/shift", task).stages[2].protocol.eval_flip


def test_the_key_holds_the_datasets_constants() -> None:
    class Darker(Cifar100LT):
        mean = (0.1, 0.1, 0.1)

    def key(dataset: Cifar100LT) -> str:
        return plan_run("base", TASK, PROTOCOL, toy_registry(), dataset).stages[0].key

    assert key(Cifar100LT()) == plan("base").stages[0].key != key(Darker())


@pytest.mark.parametrize(("change", "message"), [
    ({"milestones": (80,)}, "milestones must be fractions of the training"),
    ({"augmentation": ("",)}, "augmentation must be names, got ('',)"),
    ({"per_class": 0}, "per_class must be an integer >= 1, got 0"),
    ({"grad_clip": -1.0}, "grad_clip must be > 0 and finite, got -1.0"),
    ({"lr": float("nan")}, "lr must be > 0 and finite, got nan"),
    ({"epochs": 1.5}, "epochs must be an integer >= 1, got 1.5"),
    ({"optimizer": "adam"}, "optimizer must be one of sgd, adamw, got 'adam'"),
])
def test_protocols_refuse_nonsense(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        PROTOCOL.replace(**change)


def test_a_constructors_refusal_is_the_users_error_before_any_data() -> None:
    with pytest.raises(UserError, match="method 'margin': margin must be >= 0, got -1.0"):
        plan("margin(margin=-1)")


def test_names_of_records_do_not_collide() -> None:
    names = {plan(text, dataclasses.replace(TASK, seed=seed)).file_name
             for text in ("base", "shift", "shift(tau=2)", "margin+weights", "retrain") for seed in (0, 1)}
    assert len(names) == 10
    assert plan("weights+margin").file_name == plan("margin+weights").file_name


def test_no_method_changes_the_size_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.toys.Tuned.protocol_overrides", lambda self: {"image_size": 64})
    with pytest.raises(UserError, match="^image_size of tuned must be None, the task's, got 64$"):
        plan("tuned")
    assert plan("tuned", protocol=PROTOCOL.replace(image_size=64)).protocol.image_size == 64


def test_a_size_of_images_that_nobody_gave_is_in_no_key() -> None:
    assert "image_size" not in PROTOCOL.as_dict() and PROTOCOL.replace(image_size=64).as_dict()["image_size"] == 64
    assert Protocol.from_dict(PROTOCOL.replace(image_size=64).as_dict()) == PROTOCOL.replace(image_size=64)
    assert plan("base", protocol=PROTOCOL.replace(image_size=64, name="common")).stages[0].key != plan("base").stages[0].key
    with pytest.raises(ValueError, match="image_size must be an integer >= 1, got 0"):
        PROTOCOL.replace(image_size=0)


def test_images_that_the_name_does_not_tell_are_in_the_name_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = plan("base")
    monkeypatch.setattr(Cifar100LT, "images", "a")
    first = plan("base")
    monkeypatch.setattr(Cifar100LT, "images", "b")
    assert len({bare.file_name, first.file_name, plan("base").file_name}) == 3
    assert bare.key == first.key  # which the images themselves enter, once they are there


def test_a_protocol_changed_by_hand_is_custom() -> None:
    assert PROTOCOL.replace(epochs=200).name == "common"
    assert PROTOCOL.replace(epochs=3).name == "custom"
    assert Protocol.from_dict(PROTOCOL.as_dict()) == PROTOCOL
    with pytest.raises(ValueError, match="epochs must be an integer >= 1, got 0"):
        PROTOCOL.replace(epochs=0)
