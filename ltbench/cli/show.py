"""``ltbench show``: one record for a person to read, its figures recomputed from its predictions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError

if TYPE_CHECKING:
    from ltbench.registry.discovery import Registry
    from ltbench.results.schema import LabelShift, Record, ShiftFigures


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = "Show one record and recompute its figures from the predictions next to it. The exit code is 1 if they do not follow."
    parser = commands.add_parser("show", help="show one record", description=about)
    parser.add_argument("record", metavar="RECORD", help="the record's JSON file")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    parser.add_argument("--classes", action="store_true", help="add a table of every class")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the record, then what its predictions say of it."""
    from ltbench.results.records import load_predictions, read, verify
    from ltbench.results.text import printable

    path = Path(args.record)
    record = read(path)
    try:
        predictions = load_predictions(path, record)
        problems = [] if predictions is None else list(map(str, verify(record, predictions)))
    except UserError as error:  # the record itself can still be shown
        predictions, problems = None, [str(error)]
    if args.json:
        print(json.dumps(record.as_dict(), sort_keys=True, indent=1))
    else:
        lines = [*_summary(record, args.registry.remarks.get(record.task.dataset)),
                 *(_classes(record, args.registry) if args.classes else [])]
        if predictions is not None and not problems:
            lines.append(f"verified: every figure follows from the {len(predictions):,} predictions")
        print("\n".join(printable(line) for line in lines))
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _summary(record: Record, remark: str | None) -> Iterator[str]:
    from ltbench.results.tested import tell_of
    from ltbench.running.tuning.judged import tell_judged, tell_score
    from ltbench.terms.shots import USUAL

    task, split, core = record.task, record.split, record.core
    ratio = "" if task.imbalance_ratio is None else f"@{task.imbalance_ratio:g}"
    yield f"{record.typed or record.expression} on {task.dataset}{ratio}, seed {task.seed}, split seed {task.split_seed}"
    reason = "" if record.reason is None else f" ({record.reason})"
    yield f"status: {record.status}{reason}"
    yield f"track: {record.track}, selection: {record.selection}, precision: {record.precision}"
    if record.external is not None:
        yield f"external: {record.external}"
    if record.pretraining:
        yield f"pre-training: {_pairs(record.pretraining.as_dict())}"
    for number, stage in enumerate(record.stages, start=1):
        yield f"stage {number}: {stage.expression}{_bracket(stage.protocol_overrides)}"
        for method in stage.methods:
            yield f"  {method.name}{_bracket(method.hyperparameters)} from {method.distribution} {method.version}"
    yield f"protocol: {_pairs(record.protocol.as_dict())}"
    counts = split.class_counts
    yield (f"split: {len(counts)} classes of {max(counts, default=0)} to {min(counts, default=0)} training images, "
           f"{sum(counts):,} in all; {sum(split.test_counts):,} test images; {task.imbalance}; sha256 {split.hash}")
    if split.held_out is not None and (judged := tell_judged(split.held_out, "held-out")):
        yield f"figures on held-out images are {judged}"
    if (tuning := record.tuning) is not None and tuning.trials:
        best = tell_score(max(trial.score or 0.0 for trial in tuning.trials), tuning.validation.counts)
        yield f"tuned: {', '.join(tuning.space)}; trials: {len(tuning.trials)}; best: {best}"
    if record.metrics is not None:
        if tested := tell_of([record]):
            yield f"figures are {tested}"
        if record.protocol.bounds != USUAL:
            yield f"{record.protocol.bounds} training images of the class"
        if remark:
            yield f"note: {remark}"
        figures = {name: value for name, value in record.metrics.as_dict().items() if name != "label_shift"}
        for name, value in _leaves(figures, ""):
            yield f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {'—' if value is None else value}"
        yield from _shifts(record.metrics.label_shift)
    seconds = {name: value if value is None else round(value, 1) for name, value in record.timing.seconds.items()}
    yield f"seconds: {_pairs(seconds)}"
    yield f"peak memory in bytes: {_pairs(record.timing.peak_memory_bytes)}"
    yield f"ltbench {core.version}, commit {core.commit or 'unknown'}{' with changes' if core.dirty else ''}"
    yield f"key: {record.key}"


def _shifts(figures: LabelShift) -> Iterator[str]:
    from tabulate import tabulate

    from ltbench.terms.shift import parse_shift, shifts_of

    found: dict[tuple[str, str], ShiftFigures] = {(name, "published"): entry for name, entry in figures.published.items()}
    found |= {(name, "built"): entry for name, entry in figures.built.items()}
    names = map(str, shifts_of({parse_shift(name).ratio for name, _ in found}))
    rows = []
    for name, source in product(names, ("published", "built")):
        if entry := found.get((name, source)):
            accuracy = "—" if entry.accuracy is None else f"{entry.accuracy:.4f}"
            rows.append([name, accuracy, entry.images, entry.classes, source, entry.sha256])
    if rows:
        header = ["label shift", "accuracy", "images", "classes", "test set", "sha256"]
        align = ["left", "right", "right", "right", "left", "left"]
        yield from tabulate(rows, headers=header, colalign=align, disable_numparse=True).splitlines()


def _classes(record: Record, registry: Registry) -> Iterator[str]:
    from tabulate import tabulate

    from ltbench.results.accuracy import per_class_accuracy
    from ltbench.results.class_names import names_of_record

    tested = record.per_class
    if tested is None:
        yield "no figures of the classes: the run did not complete"
        return
    accuracy = per_class_accuracy(tested.correct, tested.total)
    names = names_of_record(record, registry)
    columns = zip(record.split.class_counts, tested.correct, tested.total, accuracy, strict=True)
    rows = [[k, *([] if names is None else [names[k]]), n, right, total, "—" if a is None else f"{a:.1f}"]
            for k, (n, right, total, a) in enumerate(columns)]
    header = ["class", *([] if names is None else ["name"]), "training images", "right", "test images", "accuracy"]
    align = ["left" if name == "name" else "right" for name in header]
    yield from tabulate(rows, headers=header, colalign=align, disable_numparse=True).splitlines()


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in sorted(values.items())) or "none"


def _bracket(values: dict[str, Any]) -> str:
    return f"({_pairs(values)})" if values else ""


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    else:
        yield path, value
