"""The manifest of published records: which runs there are, and the size and sha256 of every file that belongs to them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ltbench.errors import UserError
from ltbench.results.records import Stored
from ltbench.results.text import printable
from ltbench.training.store import ENGINE, META

NAME = "baselines.json"
STAGES = "stages"
_MOST_BYTES = 2**30  # of a file
# No way out of a folder, and nothing hidden.
_PATH = r"^([A-Za-z0-9_@][A-Za-z0-9_@.+()=,-]*/){0,3}[A-Za-z0-9_@][A-Za-z0-9_@.+()=,-]*$"


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ListedFile(_Part):
    """A file, by its path from the manifest."""

    path: Annotated[str, Field(pattern=_PATH, max_length=400)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=_MOST_BYTES)]


class ListedRecord(_Part):
    """A record: its own file first, then what lies beside it; and the key of its first stage."""

    dataset: str
    imbalance_ratio: float | None
    expression: str
    protocol: str
    stage1: str
    files: Annotated[list[ListedFile], Field(min_length=1, max_length=3)]


class ListedStage(_Part):
    """A finished first stage as the store keeps it."""

    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    files: Annotated[list[ListedFile], Field(min_length=2, max_length=2)]


class Manifest(_Part):
    """All that a source of records holds."""

    ltbench_baselines: Annotated[int, Field(ge=1, le=1)] = 1
    records: list[ListedRecord]
    stages: list[ListedStage] = []

    def text(self) -> str:
        """Return the file's text."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n"


def listed_name(record: ListedRecord) -> str:
    """Return a record's dataset with its ratio, as it is asked for."""
    return record.dataset if record.imbalance_ratio is None else f"{record.dataset}@{record.imbalance_ratio:g}"


def describe(stored: list[Stored], folder: Path) -> Manifest:
    """Return the manifest of records that lie below a folder, and of their first stages that lie in its ``stages`` or a board's.

    Raises:
        UserError: If a file cannot be read, or its name is none that a manifest takes.
    """
    listed = [
        ListedRecord(dataset=item.record.task.dataset, imbalance_ratio=item.record.task.imbalance_ratio,
                     expression=item.record.expression, protocol=item.record.protocol.name,
                     stage1=item.record.stages[0].key, files=[listed_file(path, folder) for path in _files(item)])
        for item in stored]
    return Manifest(records=listed, stages=list(_stages(folder, {record.stage1 for record in listed})))


def listed_file(path: Path, folder: Path) -> ListedFile:
    """Describe one file by its path from a folder."""
    name = path.relative_to(folder).as_posix()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(printable(f"{path} cannot be read: {error.strerror}")) from None
    if not re.fullmatch(_PATH, name):
        raise UserError(printable(f"a file of a manifest must be called by letters, digits and @_.+()=,- alone, got {name!r}"))
    return ListedFile(path=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def read_manifest(content: bytes, where: str) -> Manifest:
    """Read a manifest, which may be a stranger's.

    Raises:
        UserError: If it is none.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(printable(f"{NAME} of {where} is no manifest of records: {place}: {first['msg']}"[:300])) from None


def _stages(folder: Path, keys: set[str]) -> Iterator[ListedStage]:
    for path in sorted([*folder.glob(f"{STAGES}/*/"), *folder.glob(f"*/{STAGES}/*/")]):
        files = [path / ENGINE, path / META]
        if path.name in keys and all(file.is_file() for file in files):
            yield ListedStage(key=path.name, files=[listed_file(file, folder) for file in files])


def _files(item: Stored) -> Iterator[Path]:
    yield item.path
    for beside in (item.record.predictions, item.record.geometry):
        if beside is not None and (item.path.parent / beside.file).is_file():
            yield item.path.parent / beside.file
