"""Records: one JSON file a run, next to its predictions; what is shared, compared and recomputed.

Two records are equal when they are equal outside ``timing`` and ``environment``: those say how long and on what, never what came
out. Nothing in a record can run code. ``protocol`` holds the settings that all rows of a table share; what a method declares to
change of them stands in its stage's ``protocol_overrides``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ltbench.errors import UserError
from ltbench.results.migration import migrate
from ltbench.results.plain import plain
from ltbench.results.reading import lies_in, parse, read_bytes
from ltbench.results.schema import PredictionsFile, Record
from ltbench.results.schema.validation import BrokenRecord, validate
from ltbench.results.tensors import entry_of, pack
from ltbench.results.text import printable
from ltbench.system.atomic import sync, temporary_beside

if TYPE_CHECKING:
    from torch import Tensor

    from ltbench.results.predictions import Predictions

# What says how a run went and what it left beside, never what came out.
CIRCUMSTANCES = ("timing", "environment", "geometry", "logits")
_LACKED_BEFORE = ("metrics.tested_classes", "split.class_names", "typed")
_MAX_BYTES = 2**36  # of tensors: features of 437,513 images, 2,048 wide, are 3.6 GB
_MARKS = {"schema", "expression_hash"}  # a JSON object with neither is no record


class Stored(NamedTuple):
    """Hold a record and the file that it came from."""

    path: Path
    record: Record


def write(record: Record, predictions: Predictions | None, directory: Path, name: str,
          geometry: Mapping[str, Tensor] | None = None, logits: Tensor | None = None) -> Path:
    """Write a record and what lies beside it so that each appears whole or not at all, and return the record's path.

    Args:
        record: Checked once more, since an attribute can be set to anything; ``predictions``, ``geometry`` and ``logits`` are
            filled in.
        predictions: None for a run that has none.
        directory: Made if it does not exist.
        name: Name of all files, without an ending.
        geometry: Tensors to keep, see :mod:`ltbench.results.geometry`; None for none.
        logits: Of the predictions, in their order, shape (M, C); None for none.

    Raises:
        ValueError: If the record breaks the schema: a mistake of the program, not of a user.
        UserError: If the folder cannot be written.
    """
    from ltbench.results.logits import entry_of as logits_entry
    from ltbench.results.logits import pack_logits

    if not name or name.startswith(".") or set(name) & set("/\\:\0"):
        raise ValueError(f"name must be a plain file name, got {name!r}")
    target = directory / f"{name}.json"
    arrays, tensors = directory / f"{name}.npz", directory / f"{name}.geometry.safetensors"
    packed = None if geometry is None else pack(geometry)
    said, spoken = directory / f"{name}.logits.npz", None if logits is None else pack_logits(logits.numpy())
    beside = {arrays: None if predictions is None else predictions.to_bytes(), tensors: packed, said: spoken}
    record.predictions = None if predictions is None else PredictionsFile(file=arrays.name, sha256=predictions.sha256())
    record.geometry = None if geometry is None or packed is None else entry_of(tensors.name, packed, geometry)
    if spoken is not None or record.logits is not None:  # absent from a record that never had any
        record.logits = None if spoken is None else logits_entry(said.name, spoken)
    values = plain(record.as_dict())
    try:
        validate(values)
    except BrokenRecord as error:
        raise ValueError(f"record {name}: {error}") from None
    text = json.dumps(values, sort_keys=True, indent=1, allow_nan=False) + "\n"
    staged: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        staged.append(_stage(target, text.encode()))
        for path, content in beside.items():
            if content is None:
                continue
            staged.append(_stage(path, content))
            if target.exists() and not (path.exists() and path.read_bytes() == content):
                target.unlink()  # a crash between the moves must not leave the old record with new files beside it
            os.replace(staged[-1], path)
        os.replace(staged[0], target)
        for path, content in beside.items():
            if content is None:
                path.unlink(missing_ok=True)
        sync(directory)
    except OSError as error:
        raise UserError(f"output folder must be writable, got {directory}: {error.strerror}") from None
    finally:
        for temporary in staged:
            temporary.unlink(missing_ok=True)
    return target


def read(path: Path) -> Record:
    """Read one record and check it; one of an older schema is brought up to this one's, see :mod:`ltbench.results.migration`.

    Raises:
        UserError: If the file is missing, too large, not JSON, or breaks the schema: one line with the file and the fields.
    """
    return _checked(path, parse(path))


read_record = read  # the name that plugins know it by


def read_directory(directory: Path) -> tuple[list[Stored], list[str]]:
    """Read every record below a folder; a broken one is named, and the others are used.

    Hidden files and folders are left alone, and so is JSON that is no record (an object with neither ``schema`` nor
    ``expression_hash``). A link that leads out of the folder is a broken file: what lies there is nothing that the folder holds.

    Args:
        directory: Searched with all folders below it.

    Returns:
        The records in the order of their paths, and one line for each broken file.

    Raises:
        UserError: If there is no such folder.
    """
    if not directory.is_dir():
        raise UserError(f"record folder must exist, got {directory}")
    try:
        paths = sorted(directory.rglob("*.json"))
    except RecursionError:
        raise UserError(f"record folder {directory} cannot be read: folders must be nested less deep") from None
    found, problems = [], []
    for path in paths:
        if any(part.startswith(".") for part in path.relative_to(directory).parts):
            continue
        try:
            if not lies_in(path, directory):
                raise UserError(printable(f"record {path} must not be a link that leads out of {directory}"))
            value = parse(path)
            if is_record(value):
                found.append(Stored(path, _checked(path, value)))
        except UserError as error:
            problems.append(str(error))
    return found, problems


def is_record(value: Any) -> bool:
    """Tell whether JSON is to be judged as a record: all but an object that bears no mark of one."""
    return not isinstance(value, dict) or bool(_MARKS & set(value))


def without_predictions(item: Stored) -> bool:
    """Tell whether no predictions lie beside a completed run's record: nothing then says whether its figures are true."""
    entry = item.record.predictions
    return item.record.status == "completed" and (entry is None or not (item.path.parent / entry.file).exists())


def load_predictions(path: Path, record: Record) -> Predictions | None:
    """Read the predictions that lie next to a record; None if it has none.

    Raises:
        UserError: If the file is missing or damaged, or a link to another folder.
    """
    from ltbench.results.predictions import Predictions

    if record.predictions is None:
        return None
    file = path.parent / record.predictions.file
    if not lies_in(file, Path(os.path.realpath(path)).parent):
        raise UserError(printable(f"predictions {file} must lie next to the record, got a link to another folder"))
    return Predictions.load(file)


def read_geometry(path: Path) -> dict[str, Tensor]:
    """Read the tensors that a run kept beside its record, see :mod:`ltbench.results.geometry`.

    Raises:
        UserError: If the record keeps none, or the file is missing, damaged or another than the record's.
    """
    from safetensors.torch import load

    entry = read(path).geometry
    if entry is None:
        raise UserError(f"record {path} keeps no geometry; run it again without --keep nothing")
    file = path.parent / entry.file
    try:
        content = read_bytes(file, _MAX_BYTES)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise UserError(f"geometry {file} is not the one that its record names (sha256 differs)")
        return dict(load(content))
    except OSError as error:
        raise UserError(f"geometry {file} cannot be read: {error.strerror}") from None
    except UserError:
        raise
    except Exception as error:  # whatever damaged bytes do to the reader
        raise UserError(f"geometry {file} is damaged ({type(error).__name__})") from None


def comparable(record: Record) -> dict[str, Any]:
    """Return a record's fields without its timing, its environment and what it keeps beside."""
    return {name: value for name, value in record.as_dict().items() if name not in CIRCUMSTANCES}


def equal(a: Record, b: Record) -> list[str]:
    """Return the paths of the fields in which two records differ, timing and environment aside; empty if they are equal.

    What one of them lacks because it is older is no difference: a count of tested classes follows from ``split.test_counts``, and
    neither names of classes nor trained parameters say what came out. Nor does the order in which methods were typed.
    """
    later = {*_LACKED_BEFORE} | ({"cost.trainable"} if None in map(_trainable, (a, b)) else set())
    return [path for path in _differences(comparable(a), comparable(b), "") if path not in later]


def _trainable(record: Record) -> int | None:
    return record.cost.trainable if record.cost else None


class Mismatch(NamedTuple):
    """Hold a field that contradicts the predictions, and what is wrong with it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}{':' if self.field == 'predictions' else ''} {self.message}"


def verify(record: Record, predictions: Predictions) -> list[Mismatch]:
    """Recompute what a record says from its predictions, exactly, and return each field that does not agree."""
    from ltbench.results.accuracy import per_class_counts
    from ltbench.results.label_shift import recompute
    from ltbench.results.metrics import standard_metrics

    counts = record.split.class_counts
    claims = {} if record.metrics is None else record.metrics.as_dict()
    try:
        correct, total = per_class_counts(predictions, len(counts))
        metrics = standard_metrics(predictions, counts, record.protocol.bounds)
        if "tested_classes" not in claims:  # before records said so; split.test_counts tells it
            metrics.pop("tested_classes", None)
        if shifts := claims.get("label_shift"):
            metrics["label_shift"] = recompute(shifts, predictions, counts, record.task.split_seed)
    except ValueError as error:
        return [Mismatch("predictions", str(error))]
    claimed = {
        "metrics": {name: value for name, value in claims.items() if name in (*metrics, "tested_classes")},
        "per_class": None if record.per_class is None else record.per_class.as_dict(),
        "predictions": {"sha256": None if record.predictions is None else record.predictions.sha256},
    }
    computed = {
        "metrics": metrics,
        "per_class": {"correct": correct.tolist(), "total": total.tolist()},
        "predictions": {"sha256": predictions.sha256()},
    }
    return [Mismatch(printable(path), "does not follow from the predictions") for path in _differences(claimed, computed, "")]


def _checked(path: Path, value: Any) -> Record:
    try:
        return validate(migrate(value))
    except BrokenRecord as error:
        raise UserError(printable(f"record {path}: {error}")) from None


def _differences(a: Any, b: Any, path: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted(a.keys() | b.keys()):
            inner = f"{path}.{name}" if path else name
            if name in a and name in b:
                yield from _differences(a[name], b[name], inner)
            else:
                yield inner
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (left, right) in enumerate(zip(a, b, strict=True)):
            yield from _differences(left, right, f"{path}[{i}]")
    elif a != b or isinstance(a, bool) != isinstance(b, bool):
        yield path


def _stage(path: Path, content: bytes) -> Path:
    """Write beside a file, down to the disk, so that moving it into its place is one step of the file system."""
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(content)
        sync(temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
