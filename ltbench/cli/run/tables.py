"""Print the tables of what was run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan


def print_tables(out: Path, plans: Sequence[RunPlan], remarks: Mapping[str, str]) -> None:
    """Print the tables of those plans that have a record, and what must stand beside them."""
    from ltbench.leaderboard.collect import collect
    from ltbench.leaderboard.tables import render
    from ltbench.results import records

    paths = [out / f"{plan.file_name}.json" for plan in plans]
    tables, problems = collect([records.Stored(path, records.read(path)) for path in paths if path.is_file()], remarks)
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(render(tables, "md"), end="")
    logging.getLogger(__name__).info("the records are in %s", out)
