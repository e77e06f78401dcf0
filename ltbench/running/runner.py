"""Run a matrix of runs: whatever happens to one of them, the others go on and every one gets a record."""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.data.base import Dataset
from ltbench.data.stream import died
from ltbench.data.task_data import TaskData
from ltbench.errors import Diverged, UserError
from ltbench.method.context import Bank
from ltbench.planning.plan import RunPlan, StagePlan, info_of
from ltbench.planning.request import How
from ltbench.registry.discovery import Registry
from ltbench.registry.run_info import RunInfo
from ltbench.results import records
from ltbench.results.accuracy import per_class_counts
from ltbench.results.cost import inference_cost
from ltbench.results.evaluate import predict_with_logits
from ltbench.results.geometry import plugin_figures, split_features, stage_tensors, test_bank
from ltbench.results.label_shift import label_shift
from ltbench.results.metrics import standard_metrics
from ltbench.results.plain import plain
from ltbench.results.predictions import Predictions
from ltbench.results.schema import Cost, CurveRow, Metrics, PerClass, Record
from ltbench.running.checks import check_runs, check_split_seeds
from ltbench.running.data import RunData
from ltbench.running.description import describe, without_paths
from ltbench.running.environment import surroundings
from ltbench.running.finished import finished
from ltbench.running.observers import Observers
from ltbench.running.phases import Phases, fill
from ltbench.running.turns import Turns
from ltbench.system.atomic import sweep
from ltbench.system.stopping import let_arrive
from ltbench.training.agreement import fails_everywhere
from ltbench.training.budget import Budget
from ltbench.training.build import backbone_facts
from ltbench.training.engine import Engine
from ltbench.training.external import NoHead
from ltbench.training.loop import Row, Tick
from ltbench.training.stages import Stage, StageRunner
from ltbench.training.store import StageStore
from ltbench.training.watch import Failed, is_lost

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights
    from ltbench.running.ledger import Ledger

_LOG = logging.getLogger(__name__)


class Runner:
    """Execute planned runs one after the other.

    Args:
        store: Of finished stages.
        datasets: Loaded descriptions by name.
        weights: Of a frozen backbone that stands for the first stage, or None.
    """

    def __init__(self, registry: Registry, accelerator: Accelerator, store: StageStore, datasets: dict[str, Dataset],
                 options: How, weights: Weights | None = None) -> None:
        self.registry = registry
        self.accelerator = accelerator
        self.options = options
        self.data = RunData(accelerator, datasets, root=options.data_root, download=options.download, planning=options.dry_run,
                            looks=store.root.parent / "readable" if options.skip_unreadable else None)
        self.turns = Turns(options.out, accelerator, self._to_make)
        self.observers = Observers(registry.manager, active=accelerator.is_main_process)
        self.stages = StageRunner(accelerator, store, registry, accumulation=options.accumulation, stage1=options.stage1,
                                  weights=weights, sync_batch_norm=options.sync_batch_norm,
                                  compiles=options.compiles)

    def run(self, plans: Sequence[RunPlan]) -> list[Record]:
        """Run what has no record yet.

        Returns:
            One record a plan, in their order.

        Raises:
            UserError: See :meth:`check`; and if the output cannot be written.
        """
        return self.obtain(self.prepare(plans))

    def prepare(self, plans: Sequence[RunPlan]) -> list[RunPlan]:
        """Return the matrix with keys that name its images, when nothing speaks against running it.

        Raises:
            UserError: See :meth:`run`.
        """
        self.check(plans)
        check_split_seeds(plans, self.data)
        plans = [plan.on(self.data.of(plan).fingerprint) for plan in plans]
        self._check_output()
        self.stages.store.require_writable()
        if self.accelerator.is_main_process:
            _LOG.info("%s; records go to %s", surroundings(len(plans), self.accelerator), self.options.out)
            sweep(self.options.out)
            self.stages.store.tidy()
        return plans

    def obtain(self, plans: Sequence[RunPlan], ledger: Ledger | None = None) -> list[Record]:
        """Return the records of a matrix: those that it has, or else those of runs now.

        Args:
            plans: As prepared.
            ledger: Of the processes that make the matrix together, see :mod:`.jobs`; None for a process that is alone.

        Raises:
            UserError: If the output cannot be written.
        """
        results: dict[int, Record] = {}
        with closing(self.turns.each(plans, lambda plan: self.known(plan, ledger), tells=ledger is None)) as turns:
            for i, record in turns:
                if record is None:
                    info = info_of(plans[i], i + 1, len(plans))
                    record = self._make(plans[i], info, ledger)
                results[i] = record
        return [results[i] for i in range(len(plans))]

    def known(self, plan: RunPlan, ledger: Ledger | None = None) -> Record | None:
        """Return the record of a run that need not be made: it is finished, or one of the processes just made it."""
        if ledger is not None and ledger.ended(plan):
            return records.read(self.options.out / f"{plan.file_name}.json")
        return None if self.options.rerun else self.finished(plan)

    def _make(self, plan: RunPlan, info: RunInfo, ledger: Ledger | None) -> Record:
        """Make a run, tell observers, and note it in the ledger; one that has ended its process twice is given up."""
        if ledger is not None and (reason := ledger.begin(plan)) is not None:
            print(f"failed: {info}: {reason}", file=sys.stderr)
            record = self._describe(plan)
            record.reason = reason
            fill(record.timing, self.data.reading(plan.task.dataset), Phases(self.accelerator.device))
            records.write(record, None, self.options.out, plan.file_name)
        else:
            self.observers.notify("ltbench_run_start", run=info)
            record = self._run_one(plan, info)
        self.observers.notify("ltbench_run_end", run=info, record=record)
        if ledger is not None:
            ledger.end(plan)
        return record

    def _to_make(self, plan: RunPlan) -> set[str]:
        """Return the keys of the stages that a run stands on and that are not in the store yet."""
        return {stage.key for stage in plan.stages
                if not (stage.number == 1 and self.stages.given) and not self.stages.store.has(stage.key)}

    def finished(self, plan: RunPlan) -> Record | None:
        """Return a plan's record if it was run to its end with the same code and settings."""
        return finished(plan, self.data.of(plan).split.hash, self.options)

    def _check_output(self) -> None:
        try:
            self.options.out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.options.out):
                pass
        except OSError as error:
            raise UserError(f"the output folder {self.options.out} cannot be written: {error.strerror}") from error

    def check(self, plans: Sequence[RunPlan]) -> None:
        """Refuse what cannot run, before anything is trained or written.

        Raises:
            UserError: If the data or the backbone is not there, a user's own first stage does not fit, a batch does not
                divide, or ``LTBENCH_WORKERS`` is no number where images are decoded.
        """
        if self.stages.weights is not None:
            self.stages.weights.tensors()  # refuses what does not fit
        check_runs(plans, self.data, self.registry, self.options, self.accelerator.num_processes)

    def _describe(self, plan: RunPlan) -> Record:
        """Return the record of a run that has failed so far."""
        return describe(plan, self.data.of(plan), self.accelerator, self.options.accumulation, compiles=self.options.compiles,
                        sync_batch_norm=self.options.sync_batch_norm)

    def _run_one(self, plan: RunPlan, info: RunInfo) -> Record:
        data = self.data.of(plan)
        record = self._describe(plan)
        phases = Phases(self.accelerator.device)
        predictions: Predictions | None = None
        logits: Tensor | None = None
        geometry: dict[str, Tensor] = {}
        try:
            stage, geometry = self._train(plan, info, data, record, phases)
            predictions, logits = self._evaluate(plan, stage, data, geometry, record, phases)
            record.status = "completed"
        except Diverged as error:
            record.status, record.reason = "diverged", str(error)
            if error.curve:  # whole, also where the run was resumed or the stage is another run's
                _put_curve(record, error.curve[0]["stage"], error.curve)
        except (Exception, SystemExit) as error:  # a method that ends the program must not end the matrix
            let_arrive()  # a run that is stopped has not failed
            reason = self._reason(error)
            alone = self.accelerator.num_processes == 1
            if not alone and (is_lost(error) or not fails_everywhere(reason, plan.key, self.accelerator)):
                raise Failed(f"{info}: {reason}") from error  # others wait for this process: end all of them
            if self.accelerator.is_main_process:
                print(f"failed: {info}: {reason}", file=sys.stderr)
            folders = (self.stages.store.root, self.stages.store.root.parent, self.options.out, *data.folders,
                       self.options.data_root)
            record.status, record.reason = "failed", without_paths(reason, [f for f in folders if f is not None])
            if self.options.debug:
                traceback.print_exc()
        fill(record.timing, self.data.reading(plan.task.dataset), phases)
        if self.accelerator.is_main_process:
            if not self.turns.confirm() and (theirs := self.finished(plan)):
                return theirs
            kept = None if self.options.keep == "nothing" or record.status != "completed" else geometry
            records.write(record, predictions, self.options.out, plan.file_name, kept, logits)
        return record

    def _train(self, plan: RunPlan, info: RunInfo, data: TaskData, record: Record,
               phases: Phases) -> tuple[Stage, dict[str, Tensor]]:
        """Obtain all stages; return the last one and what is kept of each."""
        timing, seed = record.timing, plan.task.seed
        geometry: dict[str, Tensor] = {}
        last: tuple[Engine, Bank] | None = None
        stage: Stage | None = None
        for part in plan.stages:
            with phases.phase(f"stage {part.number}"):
                stage = self.stages.obtain(part, seed, data, stage, self._observer(info, record), self._ticker(info, part))
            _put_curve(record, part.number, stage.curve)
            self.observers.notify("ltbench_stage_end", run=info, stage=part.number, curve=stage.curve, reused=stage.reused)
            timing.seconds[f"stage {part.number}"] = stage.seconds
            timing.reused[f"stage {part.number}"] = stage.reused
            acts = part.number == 1 or not part.trial.evaluation_only
            if acts and not isinstance(stage.engine.head, NoHead):  # a user's own backbone may come without one
                with phases.phase("statistics"):
                    bank = self.stages.bank(part, stage.engine, seed, data, keep=part is not plan.stages[-1])
                    if self.accelerator.is_main_process:  # which is the one that writes
                        geometry |= stage_tensors(stage.engine, bank, part.number)
                last = stage.engine, bank
        if last and self.options.keep == "features":
            geometry |= split_features(last[0], "train", last[1])
            geometry |= split_features(last[0], "test", test_bank(last[0], data, self.accelerator, self.stages.test_images(data)))
        assert stage is not None  # an expression has a stage
        return stage, geometry

    def _evaluate(self, plan: RunPlan, stage: Stage, data: TaskData, geometry: dict[str, Tensor], record: Record,
                  phases: Phases) -> tuple[Predictions, Tensor | None]:
        """Predict the test images and fill in every figure."""
        protocol = plan.stages[-1].protocol
        with phases.phase("evaluation"):
            predictions, logits = predict_with_logits(stage.engine, data, self.accelerator, flip=protocol.eval_flip,
                                                      noise=protocol.eval_noise, kept=self.stages.test_images(data),
                                                      keep=self.options.logits)
        backbone = backbone_facts(plan.stages[0].protocol.backbone, data, self.registry)
        cost = inference_cost(stage.engine, data, backbone, views=2 if protocol.eval_flip else 1)
        record.cost = Cost.model_validate({**cost, "trainable": stage.trainable})
        correct, total = per_class_counts(predictions, data.dataset.num_classes)
        record.per_class = PerClass(correct=correct.tolist(), total=total.tolist())
        counts = data.class_counts.numpy()
        shifts = label_shift(predictions, counts, data.dataset.shift_ratios, data.parts.shifts, plan.task.split_seed)
        record.metrics = Metrics.model_validate(plain({
            **standard_metrics(predictions, counts, protocol.splits), "label_shift": shifts,
            "extra": plugin_figures(self.registry.metrics.values(), geometry)}))
        return predictions, logits

    def _observer(self, info: RunInfo, record: Record) -> Callable[[Row], None]:
        def observe(row: Row) -> None:
            record.curve.append(CurveRow.model_validate(plain(row)))
            figures = {name: value for name, value in row.items() if isinstance(value, float)}
            self.observers.notify("ltbench_epoch_end", run=info, stage=row["stage"], epoch=row["epoch"], epochs=row["epochs"],
                                  metrics=figures)

        return observe

    def _ticker(self, info: RunInfo, part: StagePlan) -> Tick:
        def tick(epoch: int, step: int, budget: Budget) -> None:
            self.observers.notify("ltbench_step", run=info, stage=part.number, epoch=epoch, epochs=budget.epochs, step=step,
                                  steps=budget.steps, images=budget.batch_size)

        return tick

    def _reason(self, error: BaseException) -> str:
        error = died(error) or error
        text = str(error).strip().splitlines()
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
            return (f"out of memory on {self.accelerator.device}: run with --accumulate {2 * self.options.accumulation} or more, "
                    "which leaves the global batch as it is")
        first = text[0] if text else ""
        return first if isinstance(error, UserError) and first else f"{type(error).__name__}: {first}".strip(": ")


def _put_curve(record: Record, stage: int, rows: Sequence[Row]) -> None:
    """Replace what a record has of a stage's curve."""
    record.curve = [row for row in record.curve if row.stage != stage] + [CurveRow.model_validate(plain(row)) for row in rows]
