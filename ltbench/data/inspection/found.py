"""Whether a dataset is found on this machine, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltbench.data.files import FileImages
from ltbench.data.inspection.obtaining import EMBEDDED
from ltbench.data.inspection.parts import PARTS
from ltbench.data.parts import Parts
from ltbench.errors import MissingData, UserError
from ltbench.system.settings import cache_root

FOUND, LISTS, ABSENT, DAMAGED, BROKEN = "found", "lists", "absent", "damaged", "broken"


@dataclass(frozen=True)
class Sight:
    """Hold what was seen of a dataset.

    Args:
        state: ``found``, ``lists`` where its lists are there and its images are not, ``absent``, ``damaged``, or
            ``broken`` where its plugin is.
        line: The state in one line: ``found``, or why it is not.
        where: The folder of its images or lists; None where there is none.
        images: How many each part has, by its name.
    """

    name: str
    state: str
    line: str
    where: str | None = None
    images: Mapping[str, int] = field(default_factory=dict)


def see(entry: Any, root: Path | None) -> Sight:
    """Try to read a dataset, without opening an image of it that lies in a file."""
    name = entry.spec.name
    try:
        parts: Parts = entry.load()().load(root, download=False)
    except UserError as error:
        return Sight(name, ABSENT if isinstance(error, MissingData) else DAMAGED, str(error))
    except Exception as error:  # a plugin of a stranger
        return Sight(name, BROKEN, f"broken: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
    sources = {part: source for part in PARTS if (source := getattr(parts, part)) is not None}
    images = {part: len(source.labels) for part, source in sources.items()}
    if isinstance(parts.train, FileImages):
        where = str(parts.train.paths.folder)
        try:
            parts.train.require_ends()
        except UserError as error:
            return Sight(name, LISTS, f"its lists are found; {error}", where, images)
        return Sight(name, FOUND, FOUND, where, images)
    in_root = entry.spec.source != EMBEDDED
    return Sight(name, FOUND, FOUND, str(cache_root() / "data" if root is None else root) if in_root else None, images)
