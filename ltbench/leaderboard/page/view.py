"""From a board's content to what the page shows: the opening, tables with the data of their figures, and what stands beside.

All of it is plain text. What the page embeds is a selection with fewer digits: a board of hundreds of rows must stay small enough
to send by mail.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ltbench.leaderboard.page.beside import asked_view, claims_view, printed_view
from ltbench.leaderboard.page.columns import SETS, best_cells, columns
from ltbench.leaderboard.page.lead import comparable, lead
from ltbench.leaderboard.page.rows import BEST, NOT_COMPARED, WORSE, Known, ranks_of, row_view
from ltbench.leaderboard.tables import Heading
from ltbench.results.text import printable
from ltbench.terms.shots import USUAL, splits_of

_IMAGES = re.compile(r", [\d,]+ training images")


def view(content: Mapping[str, Any], headings: Sequence[Heading]) -> dict[str, Any]:
    """Return what the template renders; ``data`` within each table is what the scripts read.

    Args:
        content: As ``board.json`` holds it.
    """
    plain = plain_texts(content)
    known = Known({name: paper for paper in plain.get("papers", ()) for name in paper["methods"]}, _abouts(plain["tables"]))
    tables = [_table(table, heading, known) for table, heading in zip(plain["tables"], headings, strict=True)]
    _name(tables)
    titles = {column.label: column.title for table in tables for column in table["columns"]}
    # A page of a folder alone has no board's files beside it, and no page over all boards above it.
    return {"name": plain["name"], "title": plain["title"], "of_board": "asked" in plain,
            "tolerance": f"{plain['tolerance']:g}", "tables": tables, "titles": titles,
            "claims": claims_view(plain.get("claims", ())), "printed": printed_view(plain.get("printed", ())),
            "asked": asked_view(plain.get("asked", ()))}


def plain_texts(value: Any) -> Any:
    """Return JSON with every text made printable: no control sign, no turned reading direction, no half of a character."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): plain_texts(item) for name, item in value.items()}
    return [plain_texts(item) for item in value] if isinstance(value, (list, tuple)) else value


def _abouts(tables: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what some record says of each method: others of before records said so may be of the same one."""
    return {method["name"]: method["about"] for table in tables for row in table["rows"] for stage in row["stages"]
            for method in stage["methods"] if method["about"]}


def _table(table: Mapping[str, Any], heading: Heading, known: Known) -> dict[str, Any]:
    splits = splits_of(table["protocol"].get("splits", USUAL))
    shown = columns(table["rows"], splits)
    ranks = ranks_of(table["rows"])
    order = sorted(range(len(ranks)), key=lambda place: ranks[place] is None)  # what has no rank follows, in its order
    rows = [row_view(table["rows"][place], ranks[place], table["reported"][place], shown, known) for place in order]
    among = {id(row) for row in comparable(table["rows"])}
    counts = [id(table["rows"][place]) in among for place in order]
    best = best_cells([row["cells"] for row in rows], shown, counts)
    for place, row in enumerate(rows):
        row["cells"] = [(*cell, place in of_column) for cell, of_column in zip(row["cells"], best, strict=True)]
    shared = plain_texts({"heading": str(heading), **dataclasses.asdict(heading)})
    reasons = {row["not_compared"] for row in table["rows"]}
    alone = reasons.pop() if len(reasons) == 1 and not table["not_ranked"] else None
    standings = Counter(row["standing"] for row in rows)
    sets = {column.of for column in shown} | ({"print"} if any(table["reported"]) else set())
    return {
        **shared,
        "not_ranked": table["not_ranked"],
        "remark": ". ".join(filter(None, (table.get("remark"), alone and f"Rows are not compared: {alone}"))),
        "ranked": not table["not_ranked"],
        "columns": shown,
        "sets": [(name, label) for name, label in SETS.items() if name in sets],
        "printed": any(table["reported"]),
        "tied": standings[BEST],
        "worse": standings[WORSE],
        "not_compared": standings[NOT_COMPARED],
        "lead": lead(table),
        "rows": rows,
        "data": {
            **shared,
            "images": table["curve_images"],
            "names": table["curve_names"],
            "splits": splits,
            "columns": [[column.key, column.label, column.decimals, column.of] for column in shown],
            "rows": [row["data"] for row in rows],
        },
    }


def _name(tables: Sequence[dict[str, Any]]) -> None:
    """Give each table the name that stands in addresses: its terms, so that a link outlives tables that come before it."""
    several = len({table["dataset"] for table in tables}) > 1
    seen = Counter[str]()
    for table in tables:
        text = f"{table['dataset'] + ' ' if several else ''}{table['track']} {_IMAGES.sub('', table['terms'])}"
        name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80] or "table"
        seen[name] += 1
        table["name"] = table["data"]["name"] = f"{name}-{seen[name]}" if seen[name] > 1 else name
