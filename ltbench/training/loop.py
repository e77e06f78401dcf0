"""The one training loop, for every stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ltbench.data.batch import Batch
from ltbench.data.randomness import derive_seed
from ltbench.data.samplers import Sampler
from ltbench.errors import Diverged
from ltbench.method.moving_average import averages_in
from ltbench.method.values import Seen
from ltbench.training.budget import Budget
from ltbench.training.distributed import average_batch_norm, gather_rows
from ltbench.training.engine import RESERVED, Engine
from ltbench.training.files import WORTH_SYNCING, load_tensors, save_tensors
from ltbench.training.optimization import Optimization
from ltbench.training.small_batches import refused_in_our_words

Row = dict[str, Any]
Tick = Callable[[int, int, Budget], None]
"""Hears of a step: of its epoch and of its number in it, both from 1, and of the stage's budget."""

_TICK = 0.5  # seconds between two steps that anybody hears of


@torch.no_grad()
def measured(engine: Engine, taken: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return what the methods of a stage measure now, by name.

    Args:
        taken: The other figures of the row.

    Raises:
        ValueError: If two figures have one name.
    """
    figures: dict[str, float] = {}
    if engine.stack.owns("measure"):
        engine.eval()
        for method in engine.stack.methods:
            for name, value in method.measure(engine.ctx).items():
                if name in figures or name in RESERVED or name in (taken or {}):
                    raise ValueError(f"measured figures must have names of their own, got {name!r} from {method.name!r}")
                figures[name] = float(value)
    return figures


def moments(every: float | None, steps: int) -> dict[int, float]:
    """Return the steps of an epoch after which methods measure, its last one left out, and what part of it each ends.

    Args:
        every: Fraction of an epoch; None for none of them.
        steps: Of an epoch, counted from 1.
    """
    if every is None:
        return {}
    every = max(every, 1 / steps)
    ends = {round(number * every * steps) for number in range(1, math.ceil(1 / every))}
    return {step: step / steps for step in sorted(ends) if 0 < step < steps}


def first_row(engine: Engine) -> list[Row]:
    """Return the curve's row of epoch 0: what is measured before the first step; no row where nothing is."""
    figures = measured(engine)
    return [{**figures, "stage": engine.stack.stage, "epoch": 0, "epochs": engine.ctx.facts.epochs}] if figures else []


class BatchLoader(Interface):
    """Serve the batches of an epoch."""

    def epoch(self, order: np.ndarray[Any, np.dtype[np.int64]], epoch: int) -> Iterator[list[Batch]]:
        """Yield, for every global batch, this process's part of it: one batch an accumulation step."""


class Loop:
    """Train one stage, from wherever its checkpoint left it.

    Everything random is a function of (seed, stage, epoch), so a checkpoint holds tensors and a position, and a resumed run
    equals an uninterrupted one.

    Args:
        make_loader: Stream name -> its loader.
        labels: Of the training split, shape (N,), for the samplers.
        tick: Hears of a step now and then, on the main process.
    """

    def __init__(self, engine: Engine, budget: Budget, make_loader: Callable[[str], BatchLoader], labels: Tensor, seed: int,
                 accelerator: Accelerator, checkpoint: Path, observe: Callable[[Row], None], tick: Tick | None = None) -> None:
        self.engine = engine
        self.budget = budget
        self.curve: list[Row] = []
        self.seconds = 0.0
        self._make_loader = make_loader
        self._loaders: dict[str, BatchLoader] = {}
        self._labels = labels.cpu().numpy()
        self._seed = seed
        self._accelerator = accelerator
        self._checkpoint = checkpoint
        self._observe = observe
        self._tick = tick if accelerator.is_main_process else None
        self._told = 0.0
        self._optimization = Optimization(engine, engine.ctx.protocol, budget.epochs * budget.steps)
        measures = engine.stack.owns("measure")
        self._moments = moments(engine.ctx.protocol.measure_every if measures else None, budget.steps)
        self._averages = averages_in(engine)
        self._prepared: nn.Module
        self._prepared, scaled = accelerator.prepare(engine, self._optimization.optimizer)
        # Without a scaler accelerate has nothing to do in a step, but looks twice on disk for a package that it could work with.
        self._optimizer = self._optimization.optimizer if accelerator.scaler is None else scaled

    def run(self) -> None:
        """Train to the last epoch."""
        first = self._resume()
        if first == 0:
            self.curve = first_row(self.engine)
        for epoch in range(first, self.budget.epochs):
            started = time.perf_counter()
            row = self._epoch(epoch)
            self.seconds += time.perf_counter() - started
            if not math.isfinite(row["loss"]):
                raise Diverged(f"the loss is {row['loss']} in epoch {epoch + 1} of stage {self.engine.stack.stage}", self.curve)
            self.curve.append(row)
            if self._accelerator.is_main_process:
                self._save(epoch + 1)
                self._observe(row)

    def _epoch(self, epoch: int) -> Row:
        ctx, stage = self.engine.ctx, self.engine.stack.stage
        ctx.epoch = epoch
        ctx.lr = self._optimization.rate(epoch * self.budget.steps)
        torch.manual_seed(derive_seed("step", self._seed, stage, epoch, self._accelerator.process_index))
        ctx.generator.manual_seed(derive_seed("context", self._seed, stage, epoch))
        self._prepared.train()
        for method in self.engine.stack.methods:
            method.start_epoch(ctx)
        streams = self.engine.stack.owner("streams").streams(ctx)
        iterators = {name: self._loader(name).epoch(self._order(name, sampler, epoch), epoch)
                     for name, sampler in streams.items()}
        sums, factor = self._steps(iterators, epoch)
        average_batch_norm(self.engine, self._accelerator)  # first: a method may embed images at the end of an epoch
        for method in self.engine.stack.methods:
            method.end_epoch(ctx)
        means = torch.stack([gather_rows(value.float().reshape(1), self._accelerator).mean() for value in sums.values()])
        figures = dict(zip(sums, (means / self.budget.steps).tolist(), strict=True))  # the epoch's one wait for the device
        if math.isfinite(figures["loss"]):  # a diverged model need not be measurable
            figures |= measured(self.engine, figures)
        return {**figures, "stage": stage, "epoch": epoch + 1, "epochs": self.budget.epochs, "rate": factor}

    def _steps(self, iterators: Mapping[str, Iterator[list[Batch]]], epoch: int) -> tuple[dict[str, Tensor], float]:
        """Take the steps of an epoch, in which nothing may wait for the device.

        Returns:
            Each figure's sum over the steps, and the last factor of the schedule.
        """
        sums: dict[str, Tensor] = {}
        factor = 0.0
        for step in range(self.budget.steps):
            factor = self._optimization.set_rates(epoch * self.budget.steps + step)
            parts = {name: next(iterator) for name, iterator in iterators.items()}
            for name, value in self._step(parts).items():
                sums[name] = sums[name] + value if name in sums else value
            if step + 1 in self._moments:
                self._look(epoch, self._moments[step + 1], sums["loss"])
            if self._tick is not None and (now := time.perf_counter()) - self._told >= _TICK:
                self._told = now
                self._tick(epoch + 1, step + 1, self.budget)
        return sums, factor

    def _look(self, epoch: int, part: float, loss: Tensor) -> None:
        """Add a row of what is measured within an epoch; nothing that is trained or drawn afterwards differs for it.

        Batch norm's statistics are those of each process, which are averaged at an epoch's end only.

        Args:
            part: Of the epoch, that is behind.
            loss: The sum of this process's losses so far.
        """
        if not gather_rows(loss.float().reshape(1), self._accelerator).isfinite().all():
            return  # a diverged model need not be measurable
        ctx, modes = self.engine.ctx, [(module, module.training) for module in self._prepared.modules()]
        drawn, device = ctx.generator.get_state(), self._accelerator.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            figures = measured(self.engine)
        ctx.generator.set_state(drawn)
        for module, mode in modes:
            module.training = mode
        self.curve.append({**figures, "stage": self.engine.stack.stage, "epoch": epoch, "epochs": self.budget.epochs,
                           "part": part})

    def _step(self, parts: Mapping[str, list[Batch]]) -> dict[str, Tensor]:
        """Take one optimizer step over the accumulation steps of a global batch."""
        count = len(next(iter(parts.values())))
        logs: dict[str, Tensor] = {}
        seen: list[dict[str, Tensor]] = []
        drawn = self.engine.ctx.generator.get_state() if count > 1 else None
        for i in range(count):
            if drawn is not None:  # every part of a global batch draws the same numbers, on other processes too
                self.engine.ctx.generator.set_state(drawn)
            waits = nullcontext() if i == count - 1 else self._accelerator.no_sync(self._prepared)
            batches = {name: micro[i] for name, micro in parts.items()}
            with waits:
                with refused_in_our_words(min(len(batch.labels) for batch in batches.values())):
                    loss, micro_logs, micro_seen = self._prepared(batches)
                if self._accelerator.scaler is None:
                    (loss / count).backward()
                else:
                    self._accelerator.backward(loss / count)
            for name, value in micro_logs.items():
                logs[name] = logs.get(name, 0.0) + value / count
            seen.append(micro_seen)
        if self._optimization.clips:
            self._accelerator.unscale_gradients(self._optimizer)
            self._optimization.clip()
        self._optimizer.step()
        self._optimizer.zero_grad()
        for average in self._averages:
            average.update()
        if self.engine.stack.owns("after_step"):
            # Gathered step by step: the global batch in its own order, however it was split.
            joined = {name: torch.cat([gather_rows(part[name], self._accelerator) for part in seen]) for name in seen[0]}
            self.engine.after_step(Seen.of(joined))
        return logs

    def _loader(self, stream: str) -> BatchLoader:
        if stream not in self._loaders:
            self._loaders[stream] = self._make_loader(stream)
        return self._loaders[stream]

    def _order(self, stream: str, sampler: Sampler, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        generator = np.random.default_rng(derive_seed("order", self._seed, self.engine.stack.stage, stream, epoch))
        return sampler.draw(self._labels, self.budget.draws, generator)

    def _resume(self) -> int:
        if not self._checkpoint.is_file():
            return 0
        tensors, meta = load_tensors(self._checkpoint)
        parts: dict[str, dict[str, Tensor]] = {"engine": {}, "optimizer": {}}
        for path, value in tensors.items():
            part, _, name = path.partition(":")
            parts[part][name] = value
        self.engine.load_trained_state(parts["engine"])
        self._optimization.restore(parts["optimizer"])
        if self._accelerator.scaler is not None and meta["scaler"]:
            self._accelerator.scaler.load_state_dict(meta["scaler"])
        self.curve, self.seconds = meta["curve"], meta["seconds"]
        return int(meta["epoch"])

    def _save(self, epoch: int) -> None:
        tensors = {f"engine:{name}": value for name, value in self.engine.trained_state().items()}
        tensors |= {f"optimizer:{name}": value for name, value in self._optimization.state().items()}
        scaler = self._accelerator.scaler.state_dict() if self._accelerator.scaler is not None else None
        save_tensors(self._checkpoint, tensors,
                     {"epoch": epoch, "curve": self.curve, "seconds": self.seconds, "scaler": scaler},
                     durable=self.seconds > WORTH_SYNCING * epoch)
