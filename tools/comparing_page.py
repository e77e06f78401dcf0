"""Write what docs/comparing.md says of every method: the families, and what each needs beside cross-entropy.

``python tools/comparing_page.py`` fills the two marked parts of the page and leaves the rest, written by hand; a test fails
while one is out of date. All installed methods enter; nothing is trained and no data is read: each method's stages are built for
CIFAR-100-LT with random weights, and one step and one prediction of a few random images are counted.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ltbench.backbones.operations import count_operations
from ltbench.backbones.request import feature_dim
from ltbench.data.base import Dataset
from ltbench.data.batch import Batch
from ltbench.data.naming import open_dataset
from ltbench.data.published import unread_parts
from ltbench.data.task_data import TaskData, load_task_data
from ltbench.errors import UserError, brief
from ltbench.leaderboard.board import find_boards
from ltbench.leaderboard.tables import NOTHING
from ltbench.method.context import Bank, Context
from ltbench.planning.plan import RunPlan, StagePlan, plan_run
from ltbench.registry.discovery import Registry, load_registry
from ltbench.registry.specs import KINDS, MethodSpec
from ltbench.terms.protocol import COMMON, PAPER
from ltbench.terms.task import Task
from ltbench.training.budget import budget_of
from ltbench.training.build import build_engine
from ltbench.training.engine import Engine

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "comparing.md"
PLAIN = "ce"
COUNTED = "cifar100-lt@100"
PRINTED = (COUNTED, "imagenet-lt", "inat18", "cifar10-lt@100")  # where a paper's setting is looked for, in this order
TRANSFORMER = "timm:vit_tiny_patch16_224"  # of methods that work on no other kind, beside cross-entropy on the same
IMAGES = 4  # of a counted step, two of a class
SEED = 0
FAMILIES = {"loss": "Losses and weights", "margin": "Margins and logit adjustment", "sampler": "Sampling", "mixing": "Mixing",
            "contrastive": "Contrastive", "regularizer": "Regularizers", "experts": "Experts",
            "head": "Classifiers and second stages", "adaptation": "Adaptation of pre-trained networks", "tool": "Tools",
            "": "Others"}


@dataclass(frozen=True)
class Counted:
    """Hold what one method takes.

    Args:
        inputs: What its last stage trains on, ``images`` or ``features``; empty where nothing is trained.
        views: Of an image.
        streams: That a step draws from.
        held: Parameters of that stage while it trains, copies that follow others included.
        kept: Parameters of backbone and head, which predict.
        steps: Operations of a training step, for one image of each stream, in the first and in the last epoch.
        prediction: Operations of a prediction.
    """

    inputs: str
    views: int
    streams: int
    held: int
    kept: int
    steps: tuple[float, float]
    prediction: int


@dataclass
class Counter:
    """Count what methods take on one dataset, each stage below once.

    Args:
        changes: Of its common protocol.
    """

    registry: Registry
    changes: Mapping[str, Any] = field(default_factory=dict)
    finished: dict[tuple[int, str], Engine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dataset, ratio = self.dataset(COUNTED)
        assert dataset.published is not None
        parts = unread_parts(dataset.name, dataset.published)
        self._data: TaskData = load_task_data(dataset, parts, Task(dataset.name, ratio), None)

    def dataset(self, name: str) -> tuple[Dataset, float | None]:
        """Open a dataset by the name that users type."""
        return open_dataset(name, self.registry, None)

    def plan(self, method: str, name: str, track: str) -> RunPlan:
        """Plan a method on a dataset.

        Raises:
            UserError: If it has no setting there.
        """
        dataset, ratio = self.dataset(name)
        task = Task(dataset.name, ratio, track=track, protocol=COMMON)  # type: ignore[arg-type]
        return plan_run(method, task, dataset.protocols[COMMON].replace(**self.changes), self.registry, dataset)

    def count(self, method: str) -> Counted:
        """Build a method's stages and count its last one."""
        *below, last = self.plan(method, COUNTED, COMMON).stages
        previous: Engine | None = None
        for stage in below:
            place = stage.number, stage.key
            if place not in self.finished:
                self.finished[place] = self._build(stage, previous).requires_grad_(False).eval()
            previous = self.finished[place]
        engine = self._build(last, previous)
        trains = engine.stack.trains and not engine.stack.evaluation_only
        streams = engine.stack.owner("streams").streams(engine.ctx) if trains else {}
        views = len(engine.stack.owner("views").views(engine.ctx)) if trains and engine.stack.inputs == "images" else 0
        steps = 0.0, 0.0
        if trains:
            steps = self._step(engine, views, streams, 0), self._step(engine, views, streams, engine.ctx.facts.epochs - 1)
        model = engine.eval().trained
        return Counted(engine.stack.inputs if trains else "", views, len(streams), parameters(engine),
                       parameters(model.backbone) + parameters(model.head), steps,
                       count_operations(engine.predict, self._images(1)))

    def _build(self, stage: StagePlan, previous: Engine | None) -> Engine:
        below = previous if previous is None or stage.trial.evaluation_only else previous.trained

        def context(engine: Engine) -> Context:
            def read(split: str, view: str) -> Bank:
                width = feature_dim(engine.backbone)
                return Bank(torch.rand(len(self._data.labels), width, generator=seeded()), self._data.labels)
            return Context(engine, engine.stack, engine.stack.methods[0].facts, stage.protocol, below, torch.device("cpu"), read,
                           lambda rows: rows)

        epochs = budget_of(stage.protocol, stage.trial.ranks_as, len(self._data.labels)).epochs
        engine = build_engine(stage, SEED, epochs, self._data, self.registry, below, context)
        engine.ctx.generator.manual_seed(SEED)
        for method in engine.stack.methods:
            method.setup(engine.ctx)
        if not stage.trial.evaluation_only:
            for method in engine.stack.methods:
                method.fit(engine.ctx)
        engine.ctx.epoch = epochs
        return engine

    def _step(self, engine: Engine, views: int, streams: Iterable[str], epoch: int) -> float:
        ctx = engine.ctx
        ctx.epoch, ctx.lr = epoch, ctx.protocol.lr
        engine.train()
        for method in engine.stack.methods:
            method.start_epoch(ctx)
        labels = torch.arange(IMAGES) // 2 * (ctx.facts.num_classes - 1)
        indices = torch.stack([(self._data.labels == label).nonzero()[0, 0] for label in labels])
        batches = {}
        for name in streams:
            drawn = [self._images(IMAGES) for _ in range(views)]
            embedding = None if views else torch.rand(IMAGES, feature_dim(engine.backbone), generator=seeded())
            batches[name] = Batch(drawn[0] if views else None, labels, [(labels, 1.0)], indices, labels, drawn, embedding,
                                  pieces=[drawn] if views else [])
        with FlopCounterMode(display=False) as counter:
            loss, _, _ = engine(batches)
            loss.backward()
        operations: float = counter.get_total_flops() / IMAGES
        return operations

    def _images(self, count: int) -> Tensor:
        size = self._data.dataset.image_size
        return torch.rand(count, self._data.dataset.channels, size, size, generator=seeded())

    def printed(self, method: str) -> str:
        """Return what a method's paper runs, and for how many epochs; on the first dataset that it has a setting for."""
        for name in PRINTED:
            try:
                plan = self.plan(method, name, PAPER)
            except UserError:
                continue
            images = len(self._data.labels)  # a later stage's epochs depend on it only where the paper states draws
            epochs = [str(budget_of(stage.protocol, stage.trial.ranks_as, images).epochs if stage.trial.trains else 0)
                      for stage in plan.stages]
            text = "/".join("+".join(choice.method.name for choice in stage.choices) for stage in plan.stages)
            return f"`{text}` {' + '.join(epochs)}{'' if name == COUNTED else f' ({name})'}"
        return NOTHING


def seeded() -> torch.Generator:
    """Return a generator of the same numbers each time."""
    return torch.Generator().manual_seed(SEED)


def parameters(module: nn.Module) -> int:
    """Return how many parameters a module has."""
    return sum(weights.numel() for weights in module.parameters())


def year(spec: MethodSpec) -> str:
    """Return the year of a method's paper, as its description says."""
    found = re.findall(r"\b(?:19|20)\d\d\b", spec.paper)
    return found[-1] if found else NOTHING


def parent(spec: MethodSpec, registry: Registry) -> str | None:
    """Return the method whose class another one is made from: as a preset, or as a class of its own."""
    specs = [entry.spec for entry in registry.methods.values()]
    if spec.is_preset:
        return next((other.name for other in specs if other.target == spec.target and not other.is_preset), None)
    targets = {f"{base.__module__}:{base.__name__}" for base in registry.methods.get(spec.name).load().__mro__[1:]}
    return next((other.name for other in specs if other.target in targets and not other.is_preset and not other.base), None)


def family(kind: str, registry: Registry) -> str:
    """List a family by year, each method below the one that it is made from."""
    specs = {entry.spec.name: entry.spec for entry in registry.methods.values() if entry.spec.kind == kind}
    parents = {name: parent(spec, registry) for name, spec in specs.items()}
    order = sorted(specs.values(), key=lambda spec: (year(spec) if spec.paper else "", spec.paper, spec.name))

    def lines(above: str | None, depth: int) -> Iterator[str]:
        for spec in order:
            own = parents[spec.name]
            if (own if own in specs else None) == above:
                made = f" Made from `{own}`." if own and own not in specs else ""
                said = f" ({spec.paper})" if spec.paper else ""
                yield f"{'    ' * depth}- `{spec.name}`{said}: {spec.summary}.{made}{stands_on(spec, registry)}"
                yield from lines(spec.name, depth + 1)

    return f"### {FAMILIES[kind]}\n\n" + "\n".join(lines(None, 0))


def stands_on(spec: MethodSpec, registry: Registry) -> str:
    """Say what a later stage stands on where nobody says otherwise; nothing where that is plain cross-entropy."""
    below = registry.methods.get(spec.name).load().below if 1 not in spec.stages else None
    return f" Stands on `{below}`." if below else ""


def on_boards(method: str, boards: Iterable[Mapping[str, Any]]) -> str:
    """Return what a prediction took in records beside cross-entropy's, in the first table of each board that has both."""
    found: dict[str, str] = {}
    for board in boards:
        for table in board["tables"]:
            costs = {row["method"]: row["cost"]["relative"] for row in table["rows"] if row["cost"]}
            own = costs.get(method, costs.get(f"{PLAIN}/{method}"))
            if own is not None and PLAIN in costs:
                found.setdefault(board["name"], f"{own / costs[PLAIN]:.2f}")
    return ", ".join(f"{figure} ({name})" for name, figure in found.items()) or NOTHING


def times(value: float, plain: float) -> str:
    """Return a quotient in two decimals; what is not nothing is never 0.00."""
    quotient = value / plain
    return "< 0.01" if 0 < quotient < 0.005 else f"{quotient:.2f}"


def line(spec: MethodSpec, own: Counted, plain: Counted, printed: str, boards: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a method's cells."""
    first, last = (times(step, plain.steps[0]) for step in own.steps)
    step = (first if first == last else f"{first} to {last}") if own.inputs else "none"
    reads = f"{own.views} x {own.streams}" if own.inputs == "images" else own.inputs or NOTHING
    return [f"`{spec.name}`", year(spec), ", ".join(map(str, sorted(spec.stages))), printed, reads, step,
            times(own.held, plain.held), times(own.kept, plain.kept), times(own.prediction, plain.prediction),
            on_boards(spec.name, boards)]


def needs(registry: Registry, boards: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of what every method needs, and why some are not counted."""
    counters = {False: Counter(registry), True: Counter(registry, {"backbone": TRANSFORMER})}
    plain = {kind: counter.count(PLAIN) for kind, counter in counters.items()}
    body: list[list[str]] = []
    left_out: list[str] = []
    for spec in sorted((entry.spec for entry in registry.methods.values()), key=lambda spec: spec.name):
        try:
            own = counters[spec.needs_transformer].count(spec.name)
        except Exception as error:  # whatever a plugin raises: its row says that it is missing, all others are there
            left_out.append(f"- `{spec.name}` is not counted: {brief(error)}")
            continue
        body.append(line(spec, own, plain[spec.needs_transformer], counters[False].printed(spec.name), boards))
    header = ["method", "year", "stage", "its paper's run, epochs", "views x streams", "step", "held", "kept", "prediction",
              "prediction, records"]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body))
    return "\n\n".join([table, *(["\n".join(left_out)] if left_out else [])])


def page(text: str) -> str:
    """Return the page with its marked parts as the installed methods and the boards have them."""
    registry, found = load_registry(strict=False), find_boards(ROOT / "leaderboards")
    boards = [json.loads((board.folder / "board.json").read_text(encoding="utf-8")) for board in found]
    kinds = [kind for kind in (*KINDS, "") if any(entry.spec.kind == kind for entry in registry.methods.values())]
    parts = {"families": "\n\n".join(family(kind, registry) for kind in kinds), "needs": needs(registry, boards)}
    for name, content in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{content}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
