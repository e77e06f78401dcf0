"""What a folder of records would bring to a board, and what the check of a pull request says of it, before anything is copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ltbench.errors import UserError
from ltbench.leaderboard import elsewhere
from ltbench.leaderboard.board import Board
from ltbench.planning.matrix import plan_matrix
from ltbench.registry.discovery import Registry
from ltbench.results import records
from ltbench.results.records import Stored
from ltbench.results.schema import Record
from ltbench.system.atomic import write_whole
from ltbench.trust.folder import Problems, check_records, record_files
from ltbench.trust.ground import Ground
from ltbench.trust.remark import Remark, error, refused


@dataclass
class Submission:
    """Hold what is submitted.

    Args:
        new: Records that the board does not hold.
        known: How many it holds already.
        left_out: What is not of this board, or did not complete, with the reason.
        unasked: Rows that ``board.toml`` does not ask for.
        remarks: What the check says of the new records, by file.
    """

    new: list[Stored] = field(default_factory=list)
    known: int = 0
    left_out: dict[Path, str] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    remarks: Mapping[Path, list[Remark]] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the check refuses a record."""
        return any(refused(found) for found in self.remarks.values())


def prepare(folder: Path, board: Board, registry: Registry, ground: Ground) -> Submission:
    """Look at a folder of records as the check of a pull request would, beside what the board holds; nothing is written.

    Raises:
        UserError: If the folder holds a broken record, or none for this board.
    """
    stored, problems = records.read_directory(folder)
    if problems:
        raise UserError(problems[0])
    asked, datasets = _asked(board, registry)
    found = Submission()
    for item in stored:
        record = item.record
        if record.task.dataset not in datasets:
            found.left_out[item.path] = f"{record.task.dataset} is not of this board"
        elif record.status != "completed":
            found.left_out[item.path] = f"it {record.status}"
        elif (there := board.results / item.path.name).exists() and not records.equal(records.read(there), record):
            found.known += 1
        else:
            found.new.append(item)
            if _row(record) not in asked:
                found.unasked.add(f"{record.expression} ({record.track} track, {record.protocol.name} protocol)")
    if not (found.new or found.known):
        raise UserError(f"FOLDER must hold a completed run of {', '.join(sorted(datasets))}, got none in {str(folder)!r}")
    held = record_files(board.folder) if board.results.is_dir() else ()
    ours: list[tuple[Path, Problems]] = [(item.path, []) for item in found.new]
    told = check_records([*held, *ours], registry, ground)
    for item in found.new:
        there = board.results / item.path.name
        if there.exists() and not refused(told[item.path]):
            told[item.path].append(error("", f"{there} is there and says something else; if it is wrong, remove it first"))
        if item.record.core.dirty:  # for a reader a warning; no board publishes it
            dirty = error("core.dirty", "its code had changes that no commit holds: run it again from a commit")
            told[item.path] = [*(remark for remark in told[item.path] if remark.field != dirty.field), dirty]
    found.remarks = {path: told[path] for path, _ in ours}
    return found


def copy(submission: Submission, board: Board) -> int:
    """Copy the new records into a board's results, each after what lies beside it; return the number of files.

    Raises:
        UserError: If they cannot be read or written.
    """
    count = 0
    try:
        board.results.mkdir(exist_ok=True)
        for path, record in submission.new:
            beside = [part.file for part in (record.predictions, record.geometry) if part is not None]
            for name in [name for name in beside if (path.parent / name).is_file()] + [path.name]:
                write_whole(board.results / name, (path.parent / name).read_bytes())
                count += 1
    except OSError as problem:
        raise UserError(f"board {str(board.folder)!r} cannot be written: {problem.strerror}") from None
    return count


def _asked(board: Board, registry: Registry) -> tuple[set[tuple[object, ...]], set[str]]:
    """Return the rows that a board asks for, and the datasets that it names."""
    rows: set[tuple[object, ...]] = set()
    datasets: set[str] = set()
    for request in board.requests:
        for plan in plan_matrix(request, registry, open_files=False).plans:
            task = plan.task
            rows.add((task.dataset, task.imbalance_ratio, task.track, plan.protocol.name, str(plan.expression),
                      elsewhere.of_request(request)))
            datasets.add(task.dataset)
    return rows, datasets


def _row(record: Record) -> tuple[object, ...]:
    return (record.task.dataset, record.task.imbalance_ratio, record.track, record.protocol.name, record.expression,
            elsewhere.of_record(record))
