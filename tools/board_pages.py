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

from ltbench.leaderboard.board import find_boards
from ltbench.leaderboard.claims import FAILS, HOLDS, OPEN, Claim
from ltbench.leaderboard.export import read_estimate
from ltbench.leaderboard.findings import PAPERS_TERMS
from ltbench.leaderboard.given import read_given
from ltbench.leaderboard.printed_page import NOT_RUN
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED
from ltbench.leaderboard.reported import PrintedRow
from ltbench.leaderboard.sections import ON_PAPERS_TERMS
from ltbench.leaderboard.tables import NOTHING, compact_markdown, format_estimate
from ltbench.results.interval import FEWEST_SEEDS

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ROOT / "leaderboards"
SOURCES = {"prototype": "prototype", "learned-ncm": "ncm", "hyperspherical": "hyperspherical", "iccl": "iccl",
           "nc-regularizers": "nc"}  # a paper's name in reported.csv, and the package of its methods
SHOWN = {"ce/crt": "new classifier on balanced draws", "ce/lncm": "learned class means", "ce/ncm": "nearest class mean",
         "ce/prototype": "prototype classifier", "ce": "cross-entropy"}  # of the README's table
SPLITS = ("all", "many", "medium", "few")
LEADERS, LEADING = 3, 6  # how many rows are named
ON_PLAIN = ("ce", "post_la")  # first stages that train as cross-entropy does
WIDTH = 130
PAPERS_EPOCHS = 200  # of most rows that the five papers print
Content = Mapping[str, Any]
Verdicts = Mapping[tuple[Any, ...], str | None]  # by what identity() returns


def read_boards() -> list[Content]:
    """Return every board's content, by name."""
    return [json.loads((board.folder / "board.json").read_text(encoding="utf-8")) for board in find_boards(BOARDS)]


def papers_page(boards: Sequence[Content]) -> str:
    """Return docs/papers.md."""
    given = read_given(BOARDS)
    verdicts = {identity(row): row["verdict"] for board in boards for row in board["printed"]}
    found = {tuple(claim[name] for name in ("says", "dataset", "imbalance_ratio", "table")): claim["found"]
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


def choosing_page(boards: Sequence[Content]) -> str:
    """Return docs/choosing.md."""
    tables = [(board, table) for board in boards for table in board["tables"] if compared(table)]
    parts = [f"""# Which method for which situation

Written by `python tools/board_pages.py` from the [boards](../leaderboards); do not edit. Only rows of at least {FEWEST_SEEDS}
seeds in ranked tables count. Means stand with their 95 % interval over seeds. *Leading* rows are those that cannot be told from
the best, all pairs corrected together. Elsewhere the {LEADERS} best means are named; where their intervals overlap, the order
says nothing.

## What is known for which situation""", compact_markdown_of_links(["situation", "evidence"], list(situations(boards, tables)))]
    for board, table in tables:
        parts.append(f"## {board['title']}: {table['protocol']['epochs']} epochs, {table['track']} track\n\n{evidence(table)}")
        parts.append(compact_markdown_of_links(["you care for", "rows"], list(answers(table))))
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
    states = [[f"[{board['title']}](leaderboards/{board['name']}/README.md)", state(board),
               str(len(board["printed"])) if board["printed"] else NOTHING] for board in boards]
    listed = compact_markdown_of_links(["board", "rows", "printed rows beside it"], states)
    for name, content in (("figures", figures), ("boards", listed)):
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}{content}\n{end}{rest.partition(end)[2]}"
    return text


def identity(row: Content) -> tuple[Any, ...]:
    """Return what tells a printed row of ``board.json`` from others."""
    return tuple(row[name] for name in ("source", "table", "dataset", "imbalance_ratio", "setting", "row", "run_by", "backbone"))


def verdict_of(row: PrintedRow, verdicts: Verdicts) -> str:
    """Return a printed row's verdict; a dataset without a board has none."""
    return verdicts.get((row.source, row.table, row.dataset, row.imbalance_ratio, row.setting, row.method, row.run_by,
                         row.backbone)) or NOT_RUN


def counted(rows: Iterable[PrintedRow], verdicts: Verdicts) -> list[str]:
    """Return how many rows a paper ran itself, and how many of these have which verdict."""
    found = Counter(verdict_of(row, verdicts) for row in rows if row.claim is not None)
    return [str(found.total()), ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.items())) or NOTHING]


def judged(claims: Sequence[Claim], found: Mapping[tuple[Any, ...], Sequence[Content]]) -> list[str]:
    """Return how many claims there are, and how they came out on the paper's own terms."""
    own = Counter(one["verdict"] for claim in claims for one in found.get(name_of(claim), ()) if one["terms"] == PAPERS_TERMS)
    return [str(len(claims)), *(str(own[verdict]) for verdict in (HOLDS, FAILS, OPEN)), str(len(claims) - own.total())]


def name_of(claim: Claim) -> tuple[Any, ...]:
    """Return what tells a claim from others."""
    return claim.says, claim.better.dataset, claim.better.imbalance_ratio, claim.better.table


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
    return compact_markdown_of_links(["data", "in", "rows", "verdicts", "highest figure"], body)


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


def compared(table: Content) -> list[Content]:
    """Return the rows of a table whose differences have statistics and enough seeds."""
    return [row for row in table["rows"] if row["standing"] != NOT_COMPARED]


def situations(boards: Sequence[Content], tables: Sequence[tuple[Content, Content]]) -> Iterator[list[str]]:
    """Give each situation that a user may be in with what the boards know of it."""
    for board in boards:
        own = [table for one, table in tables if one is board]
        known = "; ".join(f"{len(compared(table))} rows, {table['train_images']:,} images, {table['protocol']['epochs']} epochs"
                          for table in own)
        yield [f"[{board['title']}](../leaderboards/{board['name']}/README.md)", known or f"none: {state(board)}"]
    everything = [table for _, table in tables]
    for name, there in (("a large set (more than 50,000 images)", any(table["train_images"] > 50_000 for table in everything)),
                        ("one ratio against another", ratios(everything)),
                        ("a frozen pre-trained backbone", any(table["external"] for table in everything)),
                        ("hyperparameters tuned for the data", any("tuning" in table for table in everything)),
                        (f"training as long as in print ({PAPERS_EPOCHS} epochs)",
                         any(table["protocol"]["epochs"] >= PAPERS_EPOCHS for table in everything))):
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
    if protocol["epochs"] < PAPERS_EPOCHS:
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
    yield ["all classes alike", f"leading: {named(leading, 'accuracy.all', 1, LEADING)}{more}"]
    for what, key in (("large classes (many-shot)", "accuracy.many"), ("classes in the middle", "accuracy.medium"),
                      ("small classes (few-shot)", "accuracy.few"), ("the tenth of classes that does worst", "worst_tenth")):
        yield [what, named(by(rows, key, highest_first=True), key, 1) or "no such classes"]
    yield ["calibration (expected calibration error, lower is better)", named(by(rows, "ece"), "ece", 3)]
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
