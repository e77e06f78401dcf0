"""Write what the documentation says of the boards: docs/papers.md, docs/choosing.md, and two tables of the README.

``python tools/board_pages.py`` writes them from the ``board.json`` of each board (run ``ltbench leaderboard`` before), from the
printed figures and from the cards of the papers' methods; a test fails while one is out of date.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from choosing_page import PAPERS_EPOCHS, WIDTH, Content, choosing_page, compact_markdown_of_links, figure, state
from ltbench.leaderboard.board import find_boards
from ltbench.leaderboard.claims import FAILS, HOLDS, OPEN, Claim
from ltbench.leaderboard.findings import PAPERS_TERMS
from ltbench.leaderboard.given import read_given
from ltbench.leaderboard.printed_page import NOT_RUN
from ltbench.leaderboard.reported import PrintedRow
from ltbench.leaderboard.sections import ON_PAPERS_TERMS
from ltbench.leaderboard.tables import NOTHING, compact_markdown

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ROOT / "leaderboards"
SOURCES = {"prototype": "prototype", "learned-ncm": "ncm", "hyperspherical": "hyperspherical", "iccl": "iccl",
           "nc-regularizers": "nc"}  # a paper's name in reported.csv, and the package of its methods
SHOWN = {"ce/crt": "new classifier on balanced draws", "ce/lncm": "learned class means", "ce/ncm": "nearest class mean",
         "ce/prototype": "prototype classifier", "ce": "cross-entropy"}  # of the README's table
SPLITS = ("all", "many", "medium", "few")
Verdicts = Mapping[tuple[Any, ...], Mapping[str, str]]  # by what identity() returns, and by split


def read_boards() -> list[Content]:
    """Return every board's content, by name."""
    return [json.loads((board.folder / "board.json").read_text(encoding="utf-8")) for board in find_boards(BOARDS)]


def papers_page(boards: Sequence[Content]) -> str:
    """Return docs/papers.md."""
    given = read_given(BOARDS)
    verdicts = {identity(row): row.get("verdicts", {}) for board in boards for row in board["printed"]}
    found = {tuple(claim[name] for name in ("source", "says", "dataset", "imbalance_ratio", "table")): claim["found"]
             for board in boards for claim in board["claims"]}
    where = {row["dataset"]: board["name"] for board in boards for row in board["printed"]}
    parts = ["""# What is known of each paper

Written by `python tools/board_pages.py` from the [boards](../leaderboards), their printed figures and the cards of the methods;
do not edit. A printed figure is *reproduced* if three seeds on the paper's own terms come within the board's tolerance; a claim,
which is a difference between two rows, by the rule that stands on each board. "Not run yet" is no verdict."""]
    totals = []
    for source, package in SOURCES.items():
        rows = [row for row in given.rows if row.source == source]
        claims = [claim for claim in given.claims if claim.better.source == source]
        totals.append([f"[{title_of(package)}](#{source})", *counted(rows, verdicts), *judged(claims, found)])
    header = ["paper", "printed figures it ran itself", "of these", "claims", *ON_PAPERS_TERMS.values(), NOT_RUN]
    parts.append(compact_markdown_of_links(header, totals))
    for source, package in SOURCES.items():
        rows = [row for row in given.rows if row.source == source]
        claims = [claim for claim in given.claims if claim.better.source == source]
        parts.append(f"## {source}\n\n*{title_of(package)}*. Its methods, equations and commands: "
                     f"[the card](../plugins/ltbench_{package}/README.md).")
        parts.append("Claims, and the difference that was measured, in points:\n\n" + claims_of(claims, found))
        parts.append("Printed figures that the paper ran itself:\n\n" + printed_of(rows, verdicts, where))
        card = f"../plugins/ltbench_{package}/README.md#what-the-paper-leaves-open-and-how-it-is-read-here"
        parts.append("Open doubts, for what the paper leaves open is read in one way here and may have been meant in another "
                     f"([how]({card})): {'; '.join(doubts(package))}.")
    return "\n\n".join(parts) + "\n"


def readme(text: str, boards: Sequence[Content]) -> str:
    """Return the README with its two tables as the boards have them."""
    cifar = next(board for board in boards if board["name"] == "cifar100-lt")
    table = cifar["tables"][0]
    protocol = table["protocol"]
    short = "" if protocol["epochs"] >= PAPERS_EPOCHS else (
        f", where papers train {PAPERS_EPOCHS}: compare rows with each other, not with print")
    rows = [[f"`{row['method']}`", SHOWN[row["method"]], *(figure(row, f"accuracy.{split}") for split in SPLITS)]
            for row in table["rows"] if row["method"] in SHOWN]
    about = (f"Some rows on {cifar['title']}: {protocol['backbone']}, mean ± half of the 95 % interval over seeds, "
             f"**{protocol['epochs']} epochs**{short}. [All rows, what agrees with print](leaderboards/cifar100-lt/README.md):")
    figures = textwrap.fill(about, WIDTH) + "\n\n" + compact_markdown_of_links(["method", "", *SPLITS], rows)
    lines = [[f"[{board['title']}](leaderboards/{board['name']}/README.md)", state(board),
              str(len(board["printed"])) if board["printed"] else NOTHING] for board in boards]
    states = [line for line in lines if line[1] != NOT_RUN]
    if waiting := [line for line in lines if line[1] == NOT_RUN]:  # in one line: there is nothing to see yet
        states.append([", ".join(line[0] for line in waiting), NOT_RUN, ", ".join(line[2] for line in waiting)])
    listed = compact_markdown_of_links(["board", "rows", "printed rows beside it"], states)
    for name, content in (("figures", figures), ("boards", listed)):
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}{content}\n{end}{rest.partition(end)[2]}"
    return text


def identity(row: Content) -> tuple[Any, ...]:
    """Return what tells a printed row of ``board.json`` from others."""
    return tuple(row[name] for name in ("source", "table", "dataset", "imbalance_ratio", "setting", "row", "run_by", "backbone"))


def verdicts_of(row: PrintedRow, verdicts: Verdicts) -> list[str]:
    """Return the verdict on each figure of a printed row; a dataset without a board has none."""
    known = verdicts.get((row.source, row.table, row.dataset, row.imbalance_ratio, row.setting, row.method, row.run_by,
                          row.backbone), {})
    return [known.get(split, NOT_RUN) for split in row.accuracy]


def counted(rows: Iterable[PrintedRow], verdicts: Verdicts) -> list[str]:
    """Return how many figures are of rows that a paper ran itself, and how many of these have which verdict."""
    found = Counter(verdict for row in rows if row.claim is not None for verdict in verdicts_of(row, verdicts))
    return [str(found.total()), ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.items())) or NOTHING]


def judged(claims: Sequence[Claim], found: Mapping[tuple[Any, ...], Sequence[Content]]) -> list[str]:
    """Return how many claims there are, and how they came out on the paper's own terms."""
    own = Counter(one["verdict"] for claim in claims for one in found.get(name_of(claim), ()) if one["terms"] == PAPERS_TERMS)
    return [str(len(claims)), *(str(own[verdict]) for verdict in (HOLDS, FAILS, OPEN)), str(len(claims) - own.total())]


def name_of(claim: Claim) -> tuple[Any, ...]:
    """Return what tells a claim from others."""
    return claim.better.source, claim.says, claim.better.dataset, claim.better.imbalance_ratio, claim.better.table


def claims_of(claims: Iterable[Claim], found: Mapping[tuple[Any, ...], Sequence[Content]]) -> str:
    """Lay out a paper's claims: on its own terms, and on those of the common track."""
    body = []
    for claim in claims:
        measured = {one["terms"]: one["text"] for one in found.get(name_of(claim), ())}
        own = measured.pop(PAPERS_TERMS, NOT_RUN)
        others = "; ".join(f"{terms}: {text}" for terms, text in measured.items())
        body.append([claim.says, place(claim.better.dataset, claim.better.imbalance_ratio), f"table {claim.better.table}",
                     claim.split, f"+{claim.difference:.1f}", own, others or NOTHING])
    return compact_markdown(["claim", "data", "in", "classes", "printed", "on the paper's terms", "on other terms"], body)


def printed_of(rows: Iterable[PrintedRow], verdicts: Verdicts, boards: Mapping[str, str]) -> str:
    """Lay out what a paper prints, one line a dataset and table, with a link to the figures."""
    groups: dict[tuple[str, str], list[PrintedRow]] = {}
    for row in rows:
        if row.claim is not None:
            groups.setdefault((row.dataset, row.table), []).append(row)
    body = []
    for (dataset, table), of_group in sorted(groups.items()):
        where = f"[{dataset}](../leaderboards/{boards[dataset]}/printed.md)" if dataset in boards else f"{dataset} (no board)"
        best = max(of_group, key=lambda row: row.accuracy.get("all", 0.0))
        ratio = f" at ratio {best.imbalance_ratio}" if best.imbalance_ratio else ""
        body.append([where, f"table {table}", *counted(of_group, verdicts), f"{best.method}{ratio}: {best.accuracy['all']:g}"])
    return compact_markdown_of_links(["data", "in", "figures", "verdicts", "highest figure"], body)


def doubts(package: str) -> Iterator[str]:
    """Give what a card's section on open questions is about, item by item."""
    text = (ROOT / "plugins" / f"ltbench_{package}" / "README.md").read_text(encoding="utf-8")
    section = text.split("## What the paper leaves open")[1].split("\n## ")[0]
    for item in re.findall(r"^- (.*?)(?=^- |\Z)", section, re.M | re.S):
        if bold := re.match(r"\*\*(.+?)\*\*", item, re.S):
            words = " ".join(bold[1].split()).rstrip(".?:").replace('"', "")
            name = words.split()[0][1:]
            yield words[:1].lower() + words[1:] if name == name.lower() else words


def title_of(package: str) -> str:
    """Return a paper's title from its card."""
    text = (ROOT / "plugins" / f"ltbench_{package}" / "README.md").read_text(encoding="utf-8")
    match = re.search(r"(?<!\*)\*([^*]+)\*(?!\*)", text)
    assert match is not None, package
    return " ".join(match[1].split())


def place(dataset: str, ratio: float | None) -> str:
    """Name a dataset with its ratio."""
    return dataset if ratio is None else f"{dataset}@{ratio:g}"


def pages() -> dict[Path, str]:
    """Return every page with its text."""
    boards, front = read_boards(), ROOT / "README.md"
    return {ROOT / "docs" / "papers.md": papers_page(boards), ROOT / "docs" / "choosing.md": choosing_page(boards),
            front: readme(front.read_text(encoding="utf-8"), boards)}


def main() -> None:
    """Write the pages."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
