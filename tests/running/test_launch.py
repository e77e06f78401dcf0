from __future__ import annotations

import pytest

from ltbench.cli.main import main
from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.planning.plan import plan_run
from ltbench.running.launch import check_processes, check_world, describe_split
from ltbench.terms.task import Task
from ltbench.testing import scene


def test_a_launcher_that_started_one_process_of_several_is_refused() -> None:
    asked_for_two = {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_PORT": "29500"}
    with pytest.raises(UserError, match="started one process of several, as it does on CPUs: use torchrun --nproc_per_node N"):
        check_processes(asked_for_two)
    for fine in ({}, {"ACCELERATE_MIXED_PRECISION": "no"}, {**asked_for_two, "WORLD_SIZE": "2"}, {"MASTER_PORT": "29500"}):
        check_processes(fine)


def test_processes_that_do_not_know_of_each_other_are_refused() -> None:
    check_world({}, 1)
    check_world({"WORLD_SIZE": "4"}, 4)
    with pytest.raises(UserError, match="WORLD_SIZE is 2 but 1 process runs: use torchrun"):
        check_world({"WORLD_SIZE": "2"}, 1)


def test_the_split_of_global_batches_is_told() -> None:
    registry = scene.installed()
    protocol = scene.PROTOCOL.replace(batch_size=96)
    plans = [plan_run(text, Task("digits-lt", 20.0), protocol, registry, DigitsLT()) for text in ("ce", "ce/crt", "ce/ncm")]
    assert describe_split(plans, 1, 1) is None
    told = describe_split(plans, 2, 4)
    assert told is not None and told.endswith("processes x accumulation steps x images: 64 = 2 x 4 x 8, 96 = 2 x 4 x 12")
    assert describe_split([], 2, 1) == ("batch sizes and learning rates are the protocol's, whatever the number of processes; "
                                        "processes x accumulation steps x images: nothing is trained")


def test_sync_batch_norm_needs_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--methods", "ce", "--seeds", "0", "--cpu", "--sync-batch-norm", "--dry-run"]) == 2
    assert capsys.readouterr().err == "ltbench: --sync-batch-norm needs CUDA devices, got cpu\n"
