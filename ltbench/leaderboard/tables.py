"""Tables for people: markdown and LaTeX, with everything that is text escaped; :func:`render` knows every format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ltbench.leaderboard.export import to_csv, to_json
from ltbench.leaderboard.rows import Row, Table
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
        form: One of :data:`ltbench.leaderboard.FORMATS`.
    """
    if form == "json":
        return to_json(tables)
    if form == "csv":
        return to_csv(tables)
    write = {"md": _markdown, "latex": _latex}[form]
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
    if value.mean is None:
        return NOTHING
    spread = "" if value.half_width is None else f" ± {value.half_width:.{decimals}f}"
    return f"{value.mean:.{decimals}f}{spread}"


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
    parts += [f"not ranked ({table.unranked})"] if table.unranked else []
    return Heading(printable(f"{table.dataset}{ratio}{step}"), printable(table.track), ", ".join(parts))


def _distinction(table: Table, alike: Sequence[Table]) -> list[str]:
    own, others = table.protocol.as_dict(), [other.protocol.as_dict() for other in alike]
    names = sorted({name for other in others for name in other})
    parts = [f"{name}={own.get(name)}" for name in names if any(other.get(name) != own.get(name) for other in others)]
    if any(other.splits != table.splits for other in alike):
        parts.append(f"split {' '.join(digest[:8] for _, digest in table.splits)}")
    return parts


def _notes(row: Row) -> str:
    """Say what sets a row apart: classes left out, own settings, what was tuned, a foreign first stage, runs that broke."""
    notes = [row.tested] if row.tested else []
    notes += [f"{name}={value}" for name, value in row.overrides.items()]
    notes += [f"tuned: {', '.join(row.tuned)}"] if row.tuned else []
    notes += [f"not ranked: {reason}"] if (reason := too_many(row.tuned)) else []
    notes += [f"external: {row.external}"] if row.external is not None else []
    notes += [f"{row.trainable:,} parameters trained"] if row.external is not None and row.trainable is not None else []
    total = len(row.completed) + row.diverged + row.failed
    notes += [f"{count} of {total} {status}" for status, count in (("diverged", row.diverged), ("failed", row.failed)) if count]
    return "; ".join(notes)


def _cells(table: Table) -> tuple[list[str], list[list[str]]]:
    """Lay a table out as text: headings and rows, nothing escaped."""
    ranked, noted = not table.unranked, any(_notes(row) for row in table.rows)
    header = ["#"] if ranked else []
    header += ["method", *(name for name, _, _ in COLUMNS), "seeds", "seconds"]
    header += ["notes"] if noted else []
    body = []
    for row, rank in zip(table.rows, table.ranks(), strict=True):
        cells = [NOTHING if rank is None else str(rank)] if ranked else []
        cells.append(printable(row.method))
        cells += [format_estimate(row.figure(metric), decimals) for _, metric, decimals in COLUMNS]
        cells += [str(len(row.completed)), NOTHING if row.seconds.mean is None else f"{row.seconds.mean:.1f}"]
        body.append([*cells, *([printable(_notes(row))] if noted else [])])
    return header, body


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
    remark = f"\n{escape_markdown(printable(table.remark))}.\n" if table.remark else ""
    title = escape_markdown(heading).replace(" &gt; ", " > ").replace(" &lt; ", " < ")  # between spaces they begin no tag
    return f"## {title}\n\n{tabulate_markdown(*_cells(table))}\n{remark}"


def _latex(table: Table, heading: str) -> str:
    # A comment ends with its line, and a heading has no line breaks. tabulate escapes the cells.
    remark = f"% {printable(table.remark)}.\n" if table.remark else ""
    return f"% {heading}\n{remark}{finish_latex(_tabulate(*_cells(table), 'latex_booktabs'))}\n"
