"""How a matrix is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights


@dataclass(frozen=True)
class Options:
    """Say how a matrix is run. Only a first stage of the user's own changes what is computed (and is marked).

    Args:
        out: Folder of the records.
        data_root: Folder of the data, or None.
        download: Whether data may be downloaded.
        accumulation: Parts that each process splits its share of a global batch into.
        stage1: A user's own first stage.
        weights: Of a frozen backbone that stands for the first stage.
        rerun: Whether finished runs are run again.
        debug: Whether tracebacks are shown.
        keep: What is kept beside a record: ``nothing``, ``statistics`` or ``features``.
        planning: Whether runs are only planned: published class counts stand for data that is not there.
        sync_batch_norm: Whether batch norm looks at the images of all processes.
        skip_unreadable: Whether images that cannot be decoded are left out, after all were tried; else the first ends its run.
        compiles: Whether training steps are compiled.
    """

    out: Path
    data_root: Path | None = None
    download: bool = False
    accumulation: int = 1
    stage1: Path | None = None
    weights: Weights | None = None
    rerun: bool = False
    debug: bool = False
    keep: str = "statistics"
    planning: bool = False
    skip_unreadable: bool = False
    sync_batch_norm: bool = False
    compiles: bool = False
