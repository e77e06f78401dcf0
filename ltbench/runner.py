"""Run a matrix of runs: whatever happens to one of them, the others go on and every one gets a record."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from ltbench import records
from ltbench.data.base import Dataset
from ltbench.data.chunks import check_batch_size
from ltbench.data.task_data import TaskData, check_files
from ltbench.errors import Diverged, UserError
from ltbench.evaluation.accuracy import per_class_counts
from ltbench.evaluation.cost import inference_cost
from ltbench.evaluation.evaluate import predict_test
from ltbench.evaluation.label_shift import label_shift
from ltbench.evaluation.metrics import standard_metrics
from ltbench.evaluation.predictions import Predictions
from ltbench.geometry import KEEP, plugin_figures, split_features, stage_tensors, test_bank
from ltbench.observers import Observers
from ltbench.phases import Phases, fill
from ltbench.plan import RunPlan
from ltbench.registry import Registry
from ltbench.run_data import RunData
from ltbench.run_info import RunInfo
from ltbench.run_options import Options
from ltbench.run_record import describe, without_paths
from ltbench.training.build import backbone_facts, make_backbone
from ltbench.training.context import Bank
from ltbench.training.engine import Engine
from ltbench.training.external import NoHead, read_backbone
from ltbench.training.loop import Row
from ltbench.training.stages import Stage, StageRunner, budget_of
from ltbench.training.store import StageStore

Record = dict[str, Any]


class Runner:
    """Execute planned runs one after the other.

    Args:
        registry: Where names are looked up.
        accelerator: Of the process.
        store: Of finished stages.
        datasets: Loaded descriptions by name.
        options: How to run.
    """

    def __init__(self, registry: Registry, accelerator: Accelerator, store: StageStore, datasets: dict[str, Dataset],
                 options: Options) -> None:
        self.registry = registry
        self.accelerator = accelerator
        self.options = options
        self.data = RunData(accelerator, datasets, root=options.data_root, download=options.download, planning=options.planning,
                            looks=store.root.parent / "readable" if options.skip_unreadable else None)
        self.observers = Observers(registry.manager, active=accelerator.is_main_process)
        self.stages = StageRunner(accelerator, store, registry, accumulation=options.accumulation, stage1=options.stage1,
                                  weights=options.weights, compiles=options.compiles)

    def run(self, plans: Sequence[RunPlan]) -> list[Record]:
        """Run what has no record yet.

        Args:
            plans: The matrix.

        Returns:
            One record a plan, in their order.

        Raises:
            UserError: See :meth:`check`; and if the output cannot be written.
        """
        self.check(plans)
        plans = [plan.on(self.data.of(plan).fingerprint) for plan in plans]
        self._check_output()
        self.stages.store.require_writable()
        results = []
        for number, plan in enumerate(plans, start=1):
            known = None if self.options.rerun else self._agreed(self.finished(plan))
            if known is not None:
                results.append(known)
                continue
            info = RunInfo(str(plan.expression), str(plan.task), plan.task.seed, number, len(plans))
            self.observers.notify("ltbench_run_start", run=info)
            record = self._run_one(plan, info)
            self.observers.notify("ltbench_run_end", run=info, record=record)
            results.append(record)
        return results

    def finished(self, plan: RunPlan) -> Record | None:
        """Return a plan's record if it was run to its end with the same code and settings."""
        path = self.options.out / f"{plan.file_name}.json"
        if not path.is_file():
            return None
        try:
            record = records.read(path)
        except UserError:
            return None  # damaged: it is run again
        same = record["key"] == plan.key and record["split"]["hash"] == self.data.of(plan).split.hash
        if not same or record["status"] not in ("completed", "diverged"):
            return None
        kept = record.get("geometry")
        held = KEEP.index(kept["holds"]) if kept and (path.parent / kept["file"]).is_file() else 0
        return record if record["status"] == "diverged" or held >= KEEP.index(self.options.keep) else None

    def _agreed(self, record: Record | None) -> Record | None:
        """Return what the main process found: another job may write the record between two processes' looks."""
        found: list[Record | None] = broadcast_object_list([record])
        return found[0]

    def _check_output(self) -> None:
        try:
            self.options.out.mkdir(parents=True, exist_ok=True)
            probe = self.options.out / ".write-test"
            probe.touch()
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"the output folder {self.options.out} cannot be written: {error.strerror}") from error

    def check(self, plans: Sequence[RunPlan]) -> None:
        """Refuse what cannot run, before anything is trained or written.

        Args:
            plans: The matrix.

        Raises:
            UserError: If the data or the backbone is not there, a user's own first stage does not fit, a batch does not
                divide, or ``LTBENCH_WORKERS`` is no number where images are decoded.
        """
        if self.options.weights is not None:
            self.options.weights.tensors()  # refuses what does not fit
        backbones: set[tuple[str, str]] = set()
        for plan in plans:
            data = self.data.of(plan)
            backbone = (plan.task.dataset, plan.stages[0].protocol.backbone)
            if backbone not in backbones:
                backbones.add(backbone)
                check_files(data.parts, planning=self.options.planning or self.options.skip_unreadable)
                backbone_facts(backbone[1], data, self.registry)
                if self.options.stage1 is not None:
                    with torch.random.fork_rng(devices=[]):
                        read_backbone(self.options.stage1, make_backbone(backbone[1], data, self.registry))
            for stage in plan.stages:
                if stage.trial.trains:
                    budget = budget_of(stage.protocol, stage.number, len(data.labels))
                    check_batch_size(budget.batch_size, self.accelerator.num_processes, self.options.accumulation)
                    if budget.batch_size > budget.draws:
                        raise UserError(f"batch size must be at most the {budget.draws} images that an epoch draws, got "
                                        f"{budget.batch_size}")

    def _run_one(self, plan: RunPlan, info: RunInfo) -> Record:
        data = self.data.of(plan)
        record = describe(plan, data, self.accelerator, self.options.accumulation, compiles=self.options.compiles)
        phases = Phases(self.accelerator.device)
        predictions: Predictions | None = None
        geometry: dict[str, Tensor] = {}
        try:
            stage, geometry = self._train(plan, info, data, record, phases)
            predictions = self._evaluate(plan, stage, data, geometry, record, phases)
            record["status"] = "completed"
        except Diverged as error:
            record["status"], record["reason"] = "diverged", str(error)
            if error.curve:  # whole, also where the run was resumed or the stage is another run's
                record["curve"] = [row for row in record["curve"] if row["stage"] != error.curve[0]["stage"]] + error.curve
        except (Exception, SystemExit) as error:  # a method that ends the program must not end the matrix
            if self.accelerator.num_processes > 1:
                raise  # the other processes wait for this one: end all of them
            reason = self._reason(error)
            print(f"failed: {info}: {reason}", file=sys.stderr)
            folders = (self.stages.store.root, self.stages.store.root.parent, self.options.out, *data.folders,
                       self.options.data_root)
            record["status"], record["reason"] = "failed", without_paths(reason, [f for f in folders if f is not None])
            if self.options.debug:
                traceback.print_exc()
        fill(record["timing"], self.data.reading(plan.task.dataset), phases)
        if self.accelerator.is_main_process:
            kept = None if self.options.keep == "nothing" or record["status"] != "completed" else geometry
            records.write(record, predictions, self.options.out, plan.file_name, kept)
        return record

    def _train(self, plan: RunPlan, info: RunInfo, data: TaskData, record: Record,
               phases: Phases) -> tuple[Stage, dict[str, Tensor]]:
        """Obtain all stages; return the last one and what is kept of each."""
        timing, seed = record["timing"], plan.task.seed
        seconds: dict[str, float] = timing["seconds"]
        geometry: dict[str, Tensor] = {}
        last: tuple[Engine, Bank] | None = None
        stage: Stage | None = None
        for part in plan.stages:
            with phases.phase(f"stage {part.number}"):
                stage = self.stages.obtain(part, seed, data, stage, self._observer(info, record))
            record["curve"] = [row for row in record["curve"] if row["stage"] != part.number] + stage.curve
            seconds[f"stage {part.number}"] = stage.seconds
            timing["reused"][f"stage {part.number}"] = stage.reused
            acts = part.number == 1 or not part.trial.evaluation_only
            if acts and not isinstance(stage.engine.head, NoHead):  # a user's own backbone may come without one
                with phases.phase("statistics"):
                    bank = self.stages.bank(part, stage.engine, seed, data, keep=part is not plan.stages[-1])
                    if self.accelerator.is_main_process:  # which is the one that writes
                        geometry |= stage_tensors(stage.engine, bank, part.number)
                last = stage.engine, bank
        if last and self.options.keep == "features":
            geometry |= split_features(last[0], "train", last[1])
            geometry |= split_features(last[0], "test", test_bank(last[0], data, self.accelerator))
        assert stage is not None  # an expression has a stage
        return stage, geometry

    def _evaluate(self, plan: RunPlan, stage: Stage, data: TaskData, geometry: dict[str, Tensor], record: Record,
                  phases: Phases) -> Predictions:
        """Predict the test images and fill in every figure."""
        protocol = plan.stages[-1].protocol
        with phases.phase("evaluation"):
            predictions = predict_test(stage.engine, data, self.accelerator, flip=protocol.eval_flip, noise=protocol.eval_noise)
        plain = backbone_facts(plan.stages[0].protocol.backbone, data, self.registry)
        record["cost"] = inference_cost(stage.engine, data, plain, views=2 if protocol.eval_flip else 1)
        correct, total = per_class_counts(predictions, data.dataset.num_classes)
        record["per_class"] = {"correct": correct.tolist(), "total": total.tolist()}
        counts = data.class_counts.numpy()
        shifts = label_shift(predictions, counts, data.dataset.shift_ratios, data.parts.shifts, plan.task.split_seed)
        record["metrics"] = {**standard_metrics(predictions, counts), "label_shift": shifts,
                             "extra": plugin_figures(self.registry.metrics.values(), geometry)}
        return predictions

    def _observer(self, info: RunInfo, record: Record) -> Callable[[Row], None]:
        def observe(row: Row) -> None:
            record["curve"].append(row)
            figures = {name: value for name, value in row.items() if isinstance(value, float)}
            self.observers.notify("ltbench_epoch_end", run=info, stage=row["stage"], epoch=row["epoch"], epochs=row["epochs"],
                                  metrics=figures)

        return observe

    def _reason(self, error: BaseException) -> str:
        text = str(error).strip().splitlines()
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
            return (f"out of memory on {self.accelerator.device}: run with --accumulate {2 * self.options.accumulation} or more, "
                    "which leaves the global batch as it is")
        first = text[0] if text else ""
        return first if isinstance(error, UserError) and first else f"{type(error).__name__}: {first}".strip(": ")
