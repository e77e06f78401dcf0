"""Records from elsewhere: nothing of them reaches a folder of records before it has passed every check."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ltbench.errors import UserError, unknown
from ltbench.registry.discovery import Registry
from ltbench.results import records
from ltbench.terms.task import parse_ratio
from ltbench.training.store import ENGINE, META, StageStore
from ltbench.trust.folder import Problems, check_records
from ltbench.trust.ground import Ground
from ltbench.trust.manifest import ListedRecord, Manifest, listed_name
from ltbench.trust.origin import Origin
from ltbench.trust.remark import Remark, error, refused

_Item = TypeVar("_Item")

_AT_ONCE = 8  # records that are fetched
_BESIDE = (".npz", ".geometry.safetensors")


@dataclass
class Pulled:
    """Hold what came of a pull.

    Args:
        new: Records that are there now.
        known: Records that were there before, and are the same.
        refused: What was left behind, with the reasons.
        remarks: How many remarks of each level the check had on the new ones.
        bytes: Of the new records, with what lies beside them.
    """

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    refused: dict[str, list[Remark]] = field(default_factory=dict)
    remarks: Counter[str] = field(default_factory=Counter)
    bytes: int = 0


def select(manifest: Manifest, name: str) -> list[ListedRecord]:
    """Return the records of a dataset.

    Args:
        name: Of the dataset, for every ratio, or with ``@ratio``.

    Raises:
        UserError: If there is none.
    """
    dataset, at, ratio = name.partition("@")
    asked = parse_ratio(ratio, dataset) if at else None
    found = [record for record in manifest.records if record.dataset == dataset and (not at or record.imbalance_ratio == asked)]
    if not found:
        raise unknown("baselines", name, {listed_name(record) for record in manifest.records})
    return found


def pull(origin: Origin, chosen: Sequence[ListedRecord], out: Path, registry: Registry, ground: Ground) -> Pulled:
    """Fetch records, check them, and put those that pass into a folder.

    A record that is there already stays as it is; one of the same name that says something else is refused.

    Raises:
        UserError: If the folder cannot be written.
    """
    pulled = Pulled()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".baselines-", dir=out) as temporary:
            # A folder each: no record may lean on what another one brings.
            folders = [Path(temporary, str(number)) for number in range(len(chosen))]
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                fetched = threads.map(lambda record, folder: _fetch(origin, record, folder), chosen, folders)
                problems = list(_shown(fetched, "fetched", len(chosen)))
            arrived = {}
            for record, folder, problem in zip(chosen, folders, problems, strict=True):
                name = PurePosixPath(record.files[0].path).name
                if problem is None:
                    arrived[folder / name] = record
                else:
                    pulled.refused[name] = [error("", problem)]
            files: list[tuple[Path, Problems]] = [(path, []) for path in arrived]
            for path, found in check_records(_shown(files, "checked", len(files)), registry, ground).items():
                if not refused(found) and (out / path.name).exists():
                    differing = _differing(out / path.name, path)
                    if not differing:
                        pulled.known.append(path.name)
                        continue
                    found = [error("", f"{out / path.name} is there and says something else: {differing}")]
                if refused(found):
                    pulled.refused[path.name] = found
                    continue
                pulled.remarks.update(remark.level for remark in found)
                pulled.bytes += sum(file.bytes for file in arrived[path].files)
                pulled.new.append(path.name)
                for file in reversed(arrived[path].files):  # the record comes last: it is never there without its predictions
                    os.replace(path.parent / PurePosixPath(file.path).name, out / PurePosixPath(file.path).name)
    except OSError as problem:
        raise UserError(f"--out must be a folder that can be written, got {out}: {problem.strerror}") from None
    return pulled


def pull_stages(origin: Origin, chosen: Sequence[ListedRecord], store: StageStore) -> tuple[int, int]:
    """Put the first stages of some records into the store, those that are not there.

    Returns:
        How many are new, and how many of these records' first stages the source does not hold.

    Raises:
        UserError: If a file is not the one that the manifest names, or the store cannot be written.
    """
    store.require_writable()
    held = {stage.key: stage for stage in origin.manifest.stages}
    wanted = {record.stage1 for record in chosen}
    new = 0
    for key in sorted(wanted & held.keys()):
        with store.lock(key):
            if store.has(key):
                continue
            contents = {PurePosixPath(file.path).name: origin.read(file) for file in held[key].files}
            if contents.keys() != {ENGINE, META}:
                raise UserError(f"stage {key[:12]} of {origin.where} must be {ENGINE} and {META}, got {', '.join(contents)}")
            store.adopt(key, contents[ENGINE], contents[META])
            new += 1
    return new, len(wanted - held.keys())


def _shown(items: Iterable[_Item], word: str, total: int) -> Iterable[_Item]:
    """Show on a terminal how far it is with records."""
    from tqdm import tqdm

    shown: Iterable[_Item] = tqdm(items, word, total, leave=False, disable=None, unit=" records")
    return shown


def _fetch(origin: Origin, record: ListedRecord, folder: Path) -> str | None:
    """Write a record's files; return what is wrong with one of them."""
    names = [PurePosixPath(file.path).name for file in record.files]
    stem = names[0].removesuffix(".json")
    if not names[0].endswith(".json") or not {*names[1:]} <= {f"{stem}{ending}" for ending in _BESIDE}:
        return f"a record must be a .json file with {' and '.join(_BESIDE)} of its own name beside it"
    folder.mkdir()
    try:
        for name, file in zip(names, record.files, strict=True):
            (folder / name).write_bytes(origin.read(file))
    except UserError as problem:
        return str(problem)
    return None


def _differing(there: Path, arrived: Path) -> str:
    """Say in which fields a record differs from the one of its name; nothing if they are equal."""
    try:
        return ", ".join(records.equal(records.read(there), records.read(arrived))[:3])
    except UserError as problem:
        return str(problem)
