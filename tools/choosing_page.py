"""What docs/choosing.md says: which rows of the boards do best for whom. ``tools/board_pages.py`` writes it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ltbench.leaderboard.export import read_estimate
from ltbench.leaderboard.printed_page import NOT_RUN
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED
from ltbench.leaderboard.tables import NOTHING, format_estimate
from ltbench.results.interval import FEWEST_SEEDS

LEADERS, LEADING = 3, 6  # how many rows are named
ON_PLAIN = ("ce", "post_la")  # first stages that train as cross-entropy does
WIDTH = 130
PAPERS_EPOCHS = 200  # of most rows that the five papers print
Content = Mapping[str, Any]


def choosing_page(boards: Sequence[Content]) -> str:
    """Return docs/choosing.md."""
    tables = [(board, table) for board in boards for table in board["tables"] if compared(table)]
    parts = [f"""# Which method for which situation

Written by `python tools/board_pages.py` from the [boards](../leaderboards); do not edit. Only rows of at least {FEWEST_SEEDS}
seeds count, in ranked tables or on pre-trained networks. Means stand with their 95 % interval over seeds. *Leading* rows are
those that cannot be told from the best, all pairs corrected together. Elsewhere the {LEADERS} best means are named; where their
intervals overlap, the order says nothing.

## What is known for which situation""", compact_markdown_of_links(["situation", "evidence"], list(situations(boards, tables)))]
    for board, table in tables:
        how = table["external"] or f"{table['protocol']['epochs']} epochs, {table['track']} track"
        parts.append(f"## {board['title']}: {how}\n\n{evidence(table)}")
        parts.append(compact_markdown_of_links(["you care for", "rows"], list(answers(table))))
    return "\n\n".join(parts) + "\n"


def compared(table: Content) -> list[Content]:
    """Return the rows of a table with statistics of their differences; on what came from elsewhere, those of enough seeds."""
    return [row for row in table["rows"] if row["standing"] != NOT_COMPARED
            or table["external"] and len(row["completed"]) >= FEWEST_SEEDS]


def situations(boards: Sequence[Content], tables: Sequence[tuple[Content, Content]]) -> Iterator[list[str]]:
    """Give each situation that a user may be in with what the boards know of it."""
    for board in boards:
        own = [table for one, table in tables if one is board]
        known = "; ".join(f"{len(compared(table))} rows, {table['train_images']:,} images, "
                          + (table["external"] or f"{table['protocol']['epochs']} epochs") for table in own)
        yield [f"[{board['title']}](../leaderboards/{board['name']}/README.md)", known or f"none: {state(board)}"]
    everything = [table for _, table in tables]
    anew = [table for table in everything if not table["external"]]  # networks that were trained here
    for name, there in (("a large set (more than 50,000 images)", any(table["train_images"] > 50_000 for table in anew)),
                        ("one ratio against another", ratios(anew)),
                        ("a frozen pre-trained backbone", any(table["external"] for table in everything)),
                        ("hyperparameters tuned for the data", any("tuning" in table for table in everything)),
                        (f"training as long as in print ({PAPERS_EPOCHS} epochs)",
                         any(table["protocol"]["epochs"] >= PAPERS_EPOCHS for table in anew))):
        yield [name, "see below" if there else "none yet: nothing here says what to choose"]


def ratios(tables: Sequence[Content]) -> bool:
    """Tell whether one dataset was run at several ratios on one protocol."""
    seen = Counter((table["dataset"], table["protocol"]["name"]) for table in
                   {(t["dataset"], t["imbalance_ratio"], t["protocol"]["name"]): t for t in tables}.values())
    return any(count > 1 for count in seen.values())


def evidence(table: Content) -> str:
    """Say how much a table carries."""
    rows, protocol = compared(table), table["protocol"]
    seeds = min(len(row["completed"]) for row in rows)
    thin = ["one dataset at one ratio and one split"]
    if table["external"]:
        thin.append("one network, which has seen other images: rows are not ranked")
    elif protocol["epochs"] < PAPERS_EPOCHS:
        thin.append(f"{protocol['epochs']} epochs where papers train {PAPERS_EPOCHS}")
    if table["train_images"] < 1_000:
        thin.append("a set so small that it checks the program more than the methods")
    text = (f"{len(rows)} rows of at least {seeds} seeds, {protocol['backbone']}, {table['train_images']:,} training images, "
            f"{table['precision']}. Thin evidence: {'; '.join(thin)}.")
    return textwrap.fill(text, WIDTH)


def answers(table: Content) -> Iterator[list[str]]:
    """Give for each thing that a user may care for the rows that do best in it."""
    rows = compared(table)
    leading = [row for row in rows if row["standing"] == TIED]
    more = f", and {len(leading) - LEADING} more" if len(leading) > LEADING else ""
    best = named(by(rows, "accuracy.all", highest_first=True), "accuracy.all", 1)
    yield ["all classes alike", f"leading: {named(leading, 'accuracy.all', 1, LEADING)}{more}" if leading else best]
    for what, key in (("large classes (many-shot)", "accuracy.many"), ("classes in the middle", "accuracy.medium"),
                      ("small classes (few-shot)", "accuracy.few"), ("the tenth of classes that does worst", "worst_tenth")):
        yield [what, named(by(rows, key, highest_first=True), key, 1) or "no such classes"]
    yield ["calibration (expected calibration error, lower is better)", named(by(rows, "ece"), "ece", 3)]
    if table["external"]:
        return
    plain = [row for row in rows if row["stages"][0]["expression"] in ON_PLAIN]
    own = [row for row in rows if row not in plain]
    yield ["little cost: a network trained with cross-entropy is there and stays", named(plain, "accuracy.all", 1) or "none"]
    yield ["the network may be trained anew", named(own, "accuracy.all", 1) or "none with enough seeds"]


def by(rows: Iterable[Content], key: str, *, highest_first: bool = False) -> list[Content]:
    """Return the rows that have a figure, in its order; equal ones stay as they are."""
    known = [row for row in rows if mean(row, key) is not None]
    return sorted(known, key=lambda row: mean(row, key) or 0.0, reverse=highest_first)


def named(rows: Sequence[Content], key: str, decimals: int, most: int = LEADERS) -> str:
    """Name the first rows with a figure each."""
    return ", ".join(f"`{row['method']}` {figure(row, key, decimals)}" for row in rows[:most])


def figure(row: Content, key: str, decimals: int = 1) -> str:
    """Return a row's figure with its interval."""
    found = row["metrics"].get(key)
    return NOTHING if found is None else format_estimate(read_estimate(found), decimals)


def mean(row: Content, key: str) -> float | None:
    """Return a row's figure without its interval."""
    found = row["metrics"].get(key)
    return None if found is None else found["mean"]


def state(board: Content) -> str:
    """Say how much of a board was run."""
    rows = [row for table in board["tables"] for row in table["rows"]]
    several = sum(len(row["completed"]) >= FEWEST_SEEDS for row in rows)
    return f"{len(rows)}, {several} of them with {FEWEST_SEEDS} seeds or more" if rows else NOT_RUN


def compact_markdown_of_links(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Lay out a table whose cells are Markdown already."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body))
