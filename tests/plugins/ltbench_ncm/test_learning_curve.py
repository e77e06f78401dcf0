from __future__ import annotations

import pytest
import torch

from ltbench.planning.plan import plan_run
from ltbench.planning.request import How
from ltbench.registry.discovery import load_registry
from ltbench.running.runner import Runner
from ltbench.terms.task import Task
from ltbench.training.distributed import make_accelerator
from ltbench.training.store import StageStore
from ltbench_ncm.learning_curve import split_accuracy


def test_by_hand() -> None:
    # 101 is many, 100 and 20 are medium, 19 and 1 are few, 0 is nothing.
    counts = torch.tensor([101, 100, 20, 19, 1, 0])
    correct = torch.tensor([101, 50, 20, 0, 1, 0])
    assert split_accuracy(correct, counts, counts) == {"many": 100.0, "medium": 75.0, "few": 50.0}
    sixty = torch.tensor([60, 60])
    assert split_accuracy(torch.tensor([30, 60]), sixty, sixty) == {"medium": 75.0}
    # A class of one image has none that is held out, and no accuracy on such.
    found = split_accuracy(torch.tensor([10, 1, 0]), torch.tensor([20, 4, 0]), torch.tensor([101, 19, 1]))
    assert found == {"many": 50.0, "few": 25.0}


def test_curves_of_the_paper_on_digits(tmp_path_factory: pytest.TempPathFactory) -> None:
    # One run of three stages: figure 4's curves from the first, figure 6's from the second.
    folder = tmp_path_factory.mktemp("curves")
    registry = load_registry(strict=False)
    dataset = registry.datasets.get("digits-lt").load()()
    runner = Runner(registry, make_accelerator(cpu=True), StageStore(folder / "cache", 10**9), {"digits-lt": dataset},
                    How(folder / "runs", debug=True))
    protocol = dataset.protocols["quick"].replace(epochs=3, stage2_draws=2.0)
    plan = plan_run("ce+learning_curve/lncm/multi_ncm", Task("digits-lt", 20.0, protocol="custom"), protocol, registry, dataset)
    (record,) = runner.run([plan])
    assert record.status == "completed", record.reason
    first, second = ([row for row in record.curve if row.stage == stage] for stage in (1, 2))
    assert [row.epoch for row in first] == [0, 1, 2, 3] and [row.epoch for row in second] == [0, 1, 2]
    assert all({"train_many", "train_medium", "train_few"} <= row.as_dict().keys() for row in first)
    assert first[-1].train_many > first[0].train_many
    assert second[0].displacement == 0 < second[-1].displacement
    assert second[-1].cdnv < second[0].cdnv
