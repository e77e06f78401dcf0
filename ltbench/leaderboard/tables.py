"""Tables for people: markdown and LaTeX, with everything that is text escaped; :func:`render` knows every format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from ltbench.leaderboard.export import to_csv, to_json
from ltbench.leaderboard.rows import Row, Table, among_compared
from ltbench.leaderboard.tuned import heading as tuning_heading
from ltbench.leaderboard.tuned import too_many
from ltbench.results.interval import Estimate
from ltbench.results.text import escape_markdown, finish_latex, printable
from ltbench.terms.shots import USUAL

NOTHING = "—"
_TEXTS = ("method", "notes", "paper", "row", "verdict", "because", "change", "table")
# Heading, metric, decimals.
COLUMNS = (
    ("all", "accuracy.all", 1),
    ("many", "accuracy.many", 1),
    ("medium", "accuracy.medium", 1),
    ("few", "accuracy.few", 1),
    ("worst tenth", "worst_tenth", 1),
    ("harmonic mean", "harmonic_mean", 1),
    ("ECE", "ece", 3),
)


@dataclass(frozen=True)
class Heading:
    """Hold what the rows of a table share, as text for people.

    Args:
        dataset: Name, with ratio and form of the imbalance.
        track: ``common`` or ``paper``.
        terms: All the rest.
    """

    dataset: str
    track: str
    terms: str

    def __str__(self) -> str:
        return f"{self.dataset}, {self.track} track, {self.terms}"


def render(tables: Sequence[Table], form: str) -> str:
    """Write tables as one text that ends with a newline.

    Args:
        form: One of :data:`ltbench.leaderboard.FORMATS`, or ``html`` for a notebook.
    """
    if form == "json":
        return to_json(tables)
    if form == "csv":
        return to_csv(tables)
    write = {"md": _markdown, "latex": _latex, "html": _html}[form]
    return "\n".join(write(table, str(heading)) for table, heading in zip(tables, headings(tables), strict=True))


def headings(tables: Sequence[Table]) -> list[Heading]:
    """Say of each table what its rows share; two tables that would read alike also name the settings in which they differ."""
    base = [_heading(table) for table in tables]
    alike: dict[Heading, list[Table]] = defaultdict(list)
    for heading, table in zip(base, tables, strict=True):
        alike[heading].append(table)
    return [replace(heading, terms=printable(", ".join([heading.terms, *_distinction(table, alike[heading])])))
            for heading, table in zip(base, tables, strict=True)]


def format_estimate(value: Estimate, decimals: int) -> str:
    """Write a mean with its interval, for example ``41.3 ± 0.4``; an em dash where there is no figure."""
    return NOTHING if value.mean is None else f"{value.mean:.{decimals}f} {format_interval(value, decimals)}".rstrip()


def format_interval(value: Estimate, decimals: int) -> str:
    """Write an interval: ``± 0.4``, or its ends, ``(96.4 to 100.0)``, where one of them is as far as the figure goes."""
    if value.mean is None or value.interval is None:
        return ""
    low, high = value.interval
    sides = {f"{side:.{decimals}f}" for side in (value.mean - low, high - value.mean)}
    return f"± {sides.pop()}" if len(sides) == 1 else f"({low:.{decimals}f} to {high:.{decimals}f})"


def _heading(table: Table) -> Heading:
    ratio = "" if table.imbalance_ratio is None else f"@{table.imbalance_ratio:g}"
    step = "" if table.imbalance in (None, "exp") else f"-{table.imbalance}"
    protocol = table.protocol
    parts = [
        f"{protocol.name} protocol",
        protocol.backbone,
        f"{protocol.epochs} epoch{'s' if protocol.epochs != 1 else ''}",
        f"{table.train_images:,} training images",
        table.precision,
    ]
    parts += [str(protocol.bounds)] if protocol.bounds != USUAL else []
    seeds = [seed for seed, _ in table.splits]
    parts += [f"split seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"] if seeds != [0] else []
    parts += [f"selection {table.selection}"] if table.selection != "last" else []
    parts += [tuning_heading(table.tuning)] if table.tuning else []
    parts += [table.external] if table.external else []
    parts += [f"at {size} pixels"] if (size := _pixels(table)) else []
    parts += [f"not ranked ({table.unranked})"] if table.unranked else []
    return Heading(printable(f"{table.dataset}{ratio}{step}"), printable(table.track), ", ".join(parts))


def _pixels(table: Table) -> int | None:
    """Return how large images are for pre-trained weights, which may differ from the protocol's size."""
    taken = (table.weights or {}).get("input")
    return taken and taken["size"]


def _settings(table: Table) -> dict[str, Any]:
    """Return what may tell tables of one heading apart."""
    given = table.weights or {}
    return {**table.protocol.as_dict(), **(given.get("input") or {}), "weights": given.get("sha256", "")[:12]}


def _distinction(table: Table, alike: Sequence[Table]) -> list[str]:
    own, others = _settings(table), [_settings(other) for other in alike]
    names = sorted({name for other in others for name in other})
    parts = [f"{name}={own.get(name)}" for name in names if any(other.get(name) != own.get(name) for other in others)]
    if any(other.splits != table.splits for other in alike):
        parts.append(f"split {' '.join(digest[:8] for _, digest in table.splits)}")
    return parts


def alone(table: Table) -> str | None:
    """Say why no row of a ranked table is compared with another; None where rows are, or they have each its own reason."""
    reasons = set(table.left_out())
    return reasons.pop() if len(reasons) == 1 and not table.unranked else None


def apart(table: Table) -> list[str]:
    """Say of each row that has a rank why it is not compared with the others, unless :func:`alone` says it of all."""
    quiet = table.unranked or alone(table)
    return ["" if quiet or reason is None or not row.ranked else f"not compared: {reason}"
            for row, reason in zip(table.rows, table.left_out(), strict=True)]


def _notes(row: Row, apart: str) -> str:
    """Say what sets a row apart: classes left out, code, few seeds, settings, what was tuned, a foreign first stage, failures."""
    notes = [row.tested] if row.tested else []
    notes += [row.code] if row.code else []
    notes += [apart] if apart else []
    notes += [f"{name}={value}" for name, value in row.overrides.items()]
    notes += [f"tuned: {', '.join(row.tuned)}"] if row.tuned else []
    notes += [f"not ranked: {reason}"] if (reason := too_many(row.tuned)) else []
    notes += [f"external: {row.external:.12}"] if row.external is not None else []
    if row.external is not None and row.trainable is not None:
        notes.append(f"{row.trainable:,} parameters trained{' in the largest stage' if row.trained_stages > 1 else ''}")
    total = len(row.completed) + row.diverged + row.failed
    notes += [f"{count} of {total} {status}" for status, count in (("diverged", row.diverged), ("failed", row.failed)) if count]
    return "; ".join(notes)


def _cells(table: Table) -> tuple[list[str], list[list[str]]]:
    """Lay a table out as text: headings and rows, nothing escaped."""
    ranked, notes = not table.unranked, [_notes(*pair) for pair in zip(table.rows, apart(table), strict=True)]
    header = ["#"] if ranked else []
    header += ["method", *(name for name, _, _ in COLUMNS), "seeds", "seconds"]
    header += ["notes"] if any(notes) else []
    body = []
    ranks = among_compared(table.ranks(), [reason is None for reason in table.left_out()])
    for row, rank, note in zip(table.rows, ranks, notes, strict=True):
        cells = [NOTHING if rank is None else str(rank)] if ranked else []
        cells.append(printable(row.method))
        cells += [format_estimate(row.figure(metric), decimals) for _, metric, decimals in COLUMNS]
        cells += [str(len(row.completed)), NOTHING if row.seconds.mean is None else f"{row.seconds.mean:.1f}"]
        body.append([*cells, *([printable(note)] if any(notes) else [])])
    return header, body


def remarks(table: Table) -> list[str]:
    """Return what stands beneath a table: what must be known of its dataset, and why no row is compared with another."""
    said = [table.remark, f"Rows are not compared: {reason}" if (reason := alone(table)) and len(table.rows) > 1 else ""]
    return [printable(line) for line in said if line]


def tabulate_markdown(header: list[str], body: list[list[str]]) -> str:
    """Lay out a markdown table, its cells escaped.

    Args:
        header: One text a column.
        body: Rows of printable text.
    """
    return _tabulate(header, [[escape_markdown(cell) for cell in cells] for cells in body], "github")


def compact_markdown(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Lay out a markdown table of long texts without padding, its cells made printable and escaped."""
    lines = [[escape_markdown(printable(cell)) for cell in cells] for cells in body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *lines))


def _tabulate(header: list[str], body: list[list[str]], form: str) -> str:
    from tabulate import tabulate

    align = ["left" if name in _TEXTS else "right" for name in header]
    return tabulate(body, headers=header, tablefmt=form, colalign=align, disable_numparse=True)


def _markdown(table: Table, heading: str) -> str:
    remark = "".join(f"\n{escape_markdown(line)}.\n" for line in remarks(table))
    title = escape_markdown(heading).replace(" &gt; ", " > ").replace(" &lt; ", " < ")  # between spaces they begin no tag
    return f"## {title}\n\n{tabulate_markdown(*_cells(table))}\n{remark}"


def _html(table: Table, heading: str) -> str:
    remark = f"<p>{escape(printable(table.remark))}.</p>\n" if table.remark else ""
    return f"<h4>{escape(heading)}</h4>\n{_tabulate(*_cells(table), 'html')}\n{remark}"  # tabulate escapes the cells


def _latex(table: Table, heading: str) -> str:
    # A comment ends with its line, and a heading has no line breaks. tabulate escapes the cells.
    remark = "".join(f"% {line}.\n" for line in remarks(table))
    return f"% {heading}\n{remark}{finish_latex(_tabulate(*_cells(table), 'latex_booktabs'))}\n"
