from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from ltbench.errors import UserError
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.results.command import arguments_of, command_of, request_of
from ltbench.terms.protocol import Protocol
from ltbench.trust.replan import changed_settings, changed_sources, replan
from tests.planning.test_paper_rows import commands, plan_of
from tests.support import record_factory
from tests.support.planned_records import plan_of as replanned
from tests.support.planned_records import recorded

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(path for path in (ROOT / "leaderboards").glob("*/results/*.json")
                   if not path.stem.startswith("folder-"))  # no record says where somebody's own images are
OTHER_SEEDS_SLOW = [path if "_s0_" in path.stem else pytest.param(path, marks=pytest.mark.slow) for path in COMMITTED]
QUICK = Protocol(name="quick", backbone="resnet20", epochs=16)


@pytest.mark.parametrize("path", OTHER_SEEDS_SLOW, ids=lambda path: path.stem)
def test_the_command_of_a_committed_record_plans_its_run(path: Path) -> None:
    registry = load_registry(strict=False)
    record = records.read(path)
    dataset = registry.datasets.get(record.task.dataset).load()()
    plan = replanned(command_of(record, dataset.protocols))
    assert list(changed_settings(record, plan)) == []
    assert plan.protocol.as_dict() == record.protocol.as_dict()
    assert recorded(plan).task == record.task
    assert [stage.protocol for stage in record.stages] == [stage.protocol.as_dict() for stage in plan.stages]
    if not list(changed_sources(record, registry)):
        assert (plan.file_name, plan.key, plan.expression.hash) == (path.stem, record.key, record.expression_hash)


def test_committed_records_are_of_many_kinds() -> None:
    assert len(COMMITTED) >= 54


@pytest.mark.parametrize("text", commands())
def test_the_command_of_a_paper_row_plans_the_same_run(text: str) -> None:
    plan = plan_of(text)
    again = replanned(command_of(recorded(plan)))
    assert (again.key, again.file_name) == (plan.key, plan.file_name)


@pytest.mark.parametrize("options", [
    "--methods la --seeds 3 --split-seeds 2 --imbalance step --dataset digits-lt@7.5 --precision bf16",
    "--methods drw+ldam(scale=12.5)/crt(inputs=images) --seeds 0 --dataset cifar10-lt@50 --test-noise 0.25 --protocol common",
    "--methods ce --seeds 0 --epochs 4 --lr 0.05 --optimizer adamw --schedule step --batch-size 16 --weight-decay 0",
    "--methods ce --seeds 0 --protocol smoke --backbone resnet20",
    "--methods ce --seeds 0 --dataset places-lt",
    "--methods multi_ncm --seeds 9223372036854775807",
])
def test_every_option_comes_back(options: str) -> None:
    plan = replanned(f"ltbench run {shlex.join(options.split())}")
    dataset = load_registry(strict=False).datasets.get(plan.task.dataset).load()()
    again = replanned(command_of(recorded(plan), dataset.protocols))
    assert (again.key, again.file_name) == (plan.key, plan.file_name)


def test_a_command_by_hand() -> None:
    record = record_factory.model(expression="ce/prototype(distance=cosine)", task__seed=2)
    assert command_of(record) == ("ltbench run --methods 'ce/prototype(distance=cosine)' --dataset digits-lt@20 --seeds 2 "
                                  "--protocol quick")


def test_images_that_were_left_out_are_left_out_again() -> None:
    """A run without them is another run, and one that stops at them is none."""
    record = records.validate(record_factory.record(split__unreadable={"train": 2, "test": 1, "sha256": "ab" * 32}))
    assert command_of(record, {"quick": QUICK}).endswith(" --unreadable skip")
    assert "--unreadable" not in command_of(records.validate(record_factory.record()), {"quick": QUICK})


def test_a_custom_protocol_is_the_nearest_one_with_what_differs() -> None:
    protocol = QUICK.replace(lr=0.5, epochs=3)
    known = {"common": Protocol(name="common", backbone="resnet20", epochs=200), "quick": QUICK}
    words = arguments_of(request_of(record_factory.model(protocol=protocol.as_dict()), known))
    assert words[-6:] == ["--protocol", "common", "--epochs", "3", "--lr", "0.5"]  # both differ in two: by name


@pytest.mark.parametrize(("changes", "problem"), [
    ({"external": "ab" * 32}, "its first stage comes from elsewhere"),
    ({"external": "a\nb"}, r"its first stage comes from elsewhere \(a b\)"),
    ({"protocol": QUICK.replace(momentum=0.5).as_dict()}, "its custom protocol must be one of its dataset's, changed by no more"),
    ({"expression": "--out=/etc"}, "'--out=/etc' must be a value that a command takes"),
    ({"expression": "ce\x1b[2J"}, "must be a value that a command takes"),
])
def test_what_no_command_makes_is_said(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        command_of(record_factory.model(**changes), {"quick": QUICK})


def test_a_word_of_a_stranger_is_quoted() -> None:
    record = record_factory.model(expression="ce; rm -rf $HOME '`x`'")
    assert shlex.split(command_of(record))[3] == "ce; rm -rf $HOME '`x`'"


def test_replan_needs_the_dataset() -> None:
    with pytest.raises(UserError, match="unknown dataset 'nowhere'"):
        replan(record_factory.model(task__dataset="nowhere"), load_registry(strict=False))


def test_a_changed_default_and_an_unknown_hyperparameter_are_named() -> None:
    plan = replanned("ltbench run --methods la --seeds 0")
    record = recorded(plan)
    assert list(changed_settings(record, plan)) == []
    record.stages[0].methods[0].hyperparameters = {"tau": 2.0, "rho": 1}
    place = "stages[0].methods[0].hyperparameters"
    assert list(changed_settings(record, plan)) == [(f"{place}.tau", "must be 1.0 as the expression says, got 2.0"),
                                                    (f"{place}.rho", "must be one of la's, got an unknown one")]
    record.stages[0].methods[0].name = "ce"
    assert list(changed_settings(record, plan)) == [("stages", "must be of la as the expression says, got ce")]


def test_a_single_file_is_named_and_nothing_that_is_none() -> None:
    record = record_factory.model()
    (ours,) = record.stages[0].methods
    named = {"file:my_method.py": ["--plugin", "my_method.py"], "file:../my_method.py": [], "ltbench": [], None: []}
    for distribution, options in named.items():
        record.stages[0].methods = [ours.model_copy(update={"distribution": distribution})] * 2
        assert arguments_of(request_of(record))[8:] == options
    record.stages[0].methods = [ours.model_copy(update={"distribution": "file:my_method.py"})]
    assert command_of(record).endswith(" --plugin my_method.py")
