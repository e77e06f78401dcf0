"""What a matrix would cost: stages shared, what is stored, and a step's measured time in place of a guess."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from tabulate import tabulate

from ltbench.backbones.making import make_backbone
from ltbench.data.task_data import TaskData
from ltbench.planning.plan import RunPlan, StagePlan
from ltbench.running.checks import check_split_seeds
from ltbench.running.duration import duration
from ltbench.running.runner import Runner
from ltbench.training import speeds
from ltbench.training.budget import budget_of
from ltbench.training.build import backbone_facts
from ltbench.training.optimization import terms

_WARM, _TIMED = 1, 3
_SMALL, _FEW = 64, 4
_TIMES: dict[tuple[object, ...], float] = {}


def print_plan(plans: Sequence[RunPlan], runner: Runner) -> None:
    """Print runs, stages and an estimate; nothing is trained and nothing is kept."""
    runner.check(plans)
    check_split_seeds(plans, runner.data)
    plans = [plan.on(runner.data.of(plan).fingerprint) for plan in plans]
    stages: dict[str, tuple[StagePlan, int, float | None, int]] = {}
    rows = []
    for plan in plans:
        done = runner.finished(plan)
        rows.append([plan.typed or str(plan.expression), str(plan.task), plan.task.seed, plan.task.split_seed, plan.protocol.name,
                     "done" if done else "to run"])
        if done:
            continue
        for stage in plan.stages:
            if stage.trial.evaluation_only and stage.previous is not None:
                continue
            if stage.previous is None and runner.stages.given:
                continue
            known = stages.get(stage.key)
            if known:
                stages[stage.key] = (*known[:1], known[1] + 1, *known[2:])
            else:
                stages[stage.key] = (stage, 1, *_cost(stage, plan, runner))
    print(tabulate(rows, headers=["expression", "dataset", "seed", "split seed", "protocol", "state"], disable_numparse=True))
    print()
    store = runner.stages.store
    table = []
    total, size, unknown = 0.0, 0, 0
    for key, (stage, uses, cost, nbytes) in stages.items():
        state = "stored" if store.has(key) else "begun" if store.partial(key) else "to train"
        if state != "stored":
            total += cost or 0.0
            size += nbytes
            unknown += cost is None
        about = "" if state == "stored" else "unknown" if cost is None else duration(cost)
        table.append([key[:12], stage.number, stage.text, uses, state, about, f"{nbytes / 1e6:.1f} MB"])
    headers = ["stage", "number", "methods", "runs that use it", "state", "about", "disk"]
    print(tabulate(table, headers=headers, disable_numparse=True))
    runs = sum(row[-1] == "to run" for row in rows)
    trained = sum(row[4] != "stored" for row in table)
    timed = f"about {duration(total)}" if total or not unknown else ""
    untimed = f"{unknown} of them of unknown time (--estimate times a few steps)" if unknown else ""
    print(f"\n{runs} of {len(rows)} runs and {trained} stages to do: {', '.join(filter(None, (timed, untimed)))}; "
          f"{size / 1e6:.0f} MB of cache on this machine (from measured steps; evaluation not counted)")


def _cost(stage: StagePlan, plan: RunPlan, runner: Runner) -> tuple[float | None, int]:
    """Estimate seconds, if anything is known of such steps, and bytes of one stage."""
    data = runner.data.of(plan)
    budget = budget_of(stage.protocol, stage.trial.ranks_as, len(data.labels))
    name, batch = stage.protocol.backbone, terms(stage.protocol, stage.trial.ranks_as).batch_size
    facts = backbone_facts(name, data, runner.registry)
    nbytes = facts.parameters * 4 * 2  # the engine, and its checkpoint while it trains
    images = stage  # the stage whose steps on images are the measure: a bank is a pass through what it trained
    while images.previous and (not images.trial.trains or images.trial.inputs == "features"):
        images = images.previous
    step = _seconds(images.text, name, data, batch, runner)
    if not stage.trial.trains or stage.trial.inputs == "features":
        # A pass over the images for the bank; the steps on features are cheap beside it.
        passes, kept = len(data.labels) / batch / 3, len(data.labels) * facts.feature_dim * 4
    else:
        passes, kept = budget.steps * budget.epochs, 0
    return None if step is None else step * passes, nbytes + kept


def _seconds(methods: str, name: str, data: TaskData, batch: int, runner: Runner) -> float | None:
    """Return how long a step takes: as it took here before, or timed now where that is asked for."""
    setting = speeds.setting(methods, name, data.dataset, batch, runner.accelerator)
    noted = speeds.known(runner.stages.store.root.parent).get(setting)
    return noted if noted or not runner.options.estimate else _step(name, data, batch, runner)


def _step(name: str, data: TaskData, batch: int, runner: Runner) -> float:
    """Time forward and backward passes, once in a process for each backbone and size."""
    accelerator, dataset = runner.accelerator, data.dataset
    device, size = accelerator.device, dataset.image_size
    # Large images fill a device a few at a time: their cost is proportional, and a plan should take seconds.
    images = max(1, min(batch // runner.options.accumulation, batch if size <= _SMALL else _FEW))
    identity = (name, dataset.channels, size, images, str(device), accelerator.mixed_precision)
    if identity not in _TIMES:
        with torch.random.fork_rng(devices=[]):
            backbone = make_backbone(name, data.dataset, runner.registry)
            backbone = backbone.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
            pixels = torch.randn(images, dataset.channels, size, size, device=device).to(memory_format=torch.channels_last)
        times = []
        for _ in range(_WARM + _TIMED):
            started = time.perf_counter()
            with accelerator.autocast():
                backbone(pixels).square().mean().backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - started)
        _TIMES[identity] = min(times[_WARM:])
    return _TIMES[identity] * batch / images
