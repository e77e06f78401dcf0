"""The page of any folder of records: what a board shows, without a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ltbench.errors import UserError
from ltbench.leaderboard.collect import collect
from ltbench.leaderboard.contradictions import one_labeling
from ltbench.leaderboard.given import NOTHING_GIVEN
from ltbench.leaderboard.outcomes import Outcome, read_outcome
from ltbench.leaderboard.page import render_page
from ltbench.leaderboard.publish import show, table_content, weight
from ltbench.results.class_names import Named, recorded_names
from ltbench.results.records import Stored

_TOLERANCE = 1.0  # nothing printed stands beside these rows


def report(stored: Sequence[Stored], title: str, remarks: Mapping[str, str] | None = None,
           named: Named = recorded_names) -> tuple[str, list[str]]:
    """Return the page of records, and what is wrong with those that it leaves out.

    Args:
        title: The page's heading.
        remarks: What must stand beside the figures of a dataset, by its name.
        named: What the classes of a record are called.

    Raises:
        UserError: If no record can be used.
    """
    outcomes: dict[Path, Outcome] = {}
    sound: list[Stored] = []
    problems: list[str] = []
    before: Outcome | None = None
    for item in stored:
        try:
            outcome, mismatches = read_outcome(item)
        except UserError as error:
            problems.append(str(error))
            continue
        if mismatches:
            problems.append(f"record {item.path}: {mismatches[0]}")
            continue
        if outcome is not None:
            before = outcomes[item.path] = outcome.sharing(before)
        sound.append(item)
    sound, labelings = one_labeling(sound, {path: outcome.tested_on for path, outcome in outcomes.items()})
    tables, contradictions = collect(sound, remarks)
    problems += map(str, [*labelings, *contradictions])
    if not tables:
        raise UserError("; ".join(["a report must have at least one usable record, got none", *problems[:3]]))
    shown = show(sorted(tables, key=weight), outcomes, NOTHING_GIVEN, _TOLERANCE)
    content = {"name": title, "title": title, "tolerance": _TOLERANCE, "claims": [], "printed": [],
               "tables": [table_content(one, named, outcomes) for one in shown]}
    return render_page(content, [one.heading for one in shown]), problems
