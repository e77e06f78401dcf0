"""Write leaderboards/runs.csv: every run that a board's matrix or a printed row asks for, planned, with what it takes.

``python tools/board_runs.py`` writes the file; a test fails while it is out of date. Nothing is trained: backbones are counted on
tensors that have shapes and no numbers, and class counts are those that the authors of a dataset publish.
"""

from __future__ import annotations

import argparse
import csv
import io
import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from ltbench.backbones.operations import count_operations
from ltbench.backbones.request import BackboneRequest
from ltbench.cli.main import build_parser
from ltbench.cli.run.options import request_of
from ltbench.data.base import Dataset
from ltbench.data.published import unread_parts
from ltbench.data.task_data import load_task_data
from ltbench.leaderboard import elsewhere
from ltbench.leaderboard.asked import FILE, OPTIONAL, Asked, to_csv_line
from ltbench.leaderboard.board import find_boards
from ltbench.planning.matrix import plan_matrix
from ltbench.planning.plan import RunPlan
from ltbench.planning.request import Request
from ltbench.registry.discovery import Registry, load_registry
from ltbench.results.command import arguments_of
from ltbench.terms.task import Task
from ltbench.training.budget import budget_of

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ROOT / "leaderboards"
TABLE = "| paper | table | dataset |"  # of plugins/README.md: every printed row with its command
WITH_BACKWARD = 3  # a backward pass takes two products where the forward pass takes one


def commands() -> list[str]:
    """Return the commands of the printed rows, each once."""
    text = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
    rows = (line for line in text[text.index(TABLE):].splitlines()[2:] if line.startswith("|"))
    return list(dict.fromkeys(row.rstrip("|").rpartition(" | ")[2].strip(" `") for row in rows))


class Counting:
    """Count what runs take, each backbone and each dataset once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._operations = cache(self._count)
        self._images = cache(self._training_images)
        self._datasets: dict[str, Dataset] = {}

    def cost(self, plan: RunPlan, dataset: Dataset) -> tuple[int, int, int]:
        """Return the images that pass through the backbone, the operations that this takes, and the backbone's parameters."""
        self._datasets[dataset.name] = dataset
        images = self._images(replace(plan.task, seed=0, protocol="", track="common"), plan.protocol.per_class)
        forward, parameters = self._operations(plan.protocol.backbone, dataset.channels, dataset.image_size)
        passed = operations = 0
        for stage in plan.stages:
            if stage.previous is not None and stage.trial.evaluation_only:
                continue
            budget = budget_of(stage.protocol, stage.number, images)
            drawn = budget.epochs * budget.steps * budget.batch_size
            if stage.number > 1 and (not stage.trial.trains or stage.trial.inputs == "features"):
                drawn = images  # once, for the bank of features; what is learned on them is small beside it
            moves = stage.number == 1 or stage.trial.inputs == "images" and stage.trial.backbone != "frozen"
            passed += drawn
            operations += drawn * forward * (WITH_BACKWARD if moves else 1)
        return passed, operations, parameters

    def _training_images(self, task: Task, per_class: int | None) -> int:
        dataset = self._datasets[task.dataset]
        if dataset.published is None:
            return len(dataset.load(None, download=False).train.labels)
        return len(load_task_data(dataset, unread_parts(dataset.name, dataset.published), task, per_class).labels)

    def _count(self, name: str, channels: int, size: int) -> tuple[int, int]:
        """Return the operations of one image's forward pass, and the parameters."""
        entry, member = self._registry.backbone(name)
        with torch.random.fork_rng(devices=[]):
            built = entry.load()(BackboneRequest(member, channels, size)).eval().to("meta")
        return count_operations(built, torch.zeros(1, channels, size, size, device="meta")), sum(
            weights.numel() for weights in built.parameters())


def runs() -> Iterator[Asked]:
    """Give every run that is asked for: those of the boards by name, then those of the printed rows."""
    registry = load_registry(strict=False)
    counting, parser = Counting(registry), build_parser(registry)
    for board in find_boards(BOARDS):
        for request in board.requests:
            if any(":" in name for name in request.what.datasets):  # somebody's own images, which lie where they were run
                continue
            yield from asked(request, registry, counting, board.name)
    for command in commands():
        arguments = parser.parse_args(shlex.split(command)[1:])
        yield from (replace(run, command=command, precision="") for run in asked(request_of(arguments), registry, counting, ""))


def asked(request: Request, registry: Registry, counting: Counting, board: str) -> Iterator[Asked]:
    """Give the runs of one request, one an expression and dataset."""
    seeds = request.what.seeds
    planned = plan_matrix(replace(request, what=replace(request.what, seeds=seeds[:1])), registry)
    for plan in planned.plans:
        first = plan.stages[0].protocol
        images, operations, parameters = counting.cost(plan, planned.datasets[plan.task.dataset])
        one = replace(request.what, methods=(str(plan.expression),), datasets=(plan.task.dataset,),
                      imbalance_ratio=plan.task.imbalance_ratio)
        command = shlex.join(["ltbench", "run", *arguments_of(replace(request, what=one))])
        yield Asked(board, plan.task.dataset, plan.task.imbalance_ratio, plan.task.track, plan.protocol.name, plan.paper or "",
                    plan.precision, str(plan.expression), first.backbone, first.epochs, plan.stages[-1].protocol.eval_noise,
                    seeds, images, operations, parameters, command, request.terms.splits, elsewhere.of_request(request) or "")


def page() -> str:
    """Return the file's text."""
    lines = [to_csv_line(run) for run in runs()]
    for name in OPTIONAL:
        if not any(line[name] for line in lines):
            lines = [{other: value for other, value in line.items() if other != name} for line in lines]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def main() -> None:
    """Write the file."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    (BOARDS / FILE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
