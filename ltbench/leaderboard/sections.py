"""What a board's README says besides its tables: the papers' claims, the printed figures in short, and what is still to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ltbench.leaderboard.asked import Asked, seeds_there
from ltbench.leaderboard.claims import FAILS, HOLDS, OPEN, Claim
from ltbench.leaderboard.findings import PAPERS_TERMS, Finding
from ltbench.leaderboard.printed_page import NOT_RUN
from ltbench.leaderboard.rows import Table
from ltbench.leaderboard.tables import NOTHING, compact_markdown

PRINTED_PAGE = "printed.md"
# On the paper's own terms a claim is reproduced or not; elsewhere it only holds there or not.
ON_PAPERS_TERMS = {HOLDS: "reproduced", FAILS: "not reproduced", OPEN: OPEN}

_CLAIMS = """
## What the papers claim, and what came out

A claim is a difference between two rows that a paper ran itself. Beside the printed one stands ours, in points, with its 95 %
interval over seeds and test images. On the paper's own terms a claim is *reproduced* if the interval lies above 0. It is *not
reproduced* if the interval lies below 0, or holds 0 and ends below half of the printed difference. Everything else, and fewer
than three seeds, is *not decidable*. On other terms a claim *holds* there, or does not, by the same rule.
"""
_TO_RUN = """
## Still to run

What `board.toml` asks for and has no record yet. What a seed takes is counted on the backbone alone (images drawn in training,
forward and backward), not timed; methods on one first stage train it once.
"""


def claims_section(claims: Sequence[Claim], found: Sequence[Sequence[Finding]]) -> str:
    """Lay out claims: for each paper how many came out how, then one a line, with a column for each table that measured any."""
    if not claims:
        return ""
    terms = list(dict.fromkeys([PAPERS_TERMS, *(one.terms for of_claim in found for one in of_claim)]))
    body = []
    for claim, of_claim in zip(claims, found, strict=True):
        said = {one.terms: describe(one) for one in of_claim}
        ratio = claim.better.imbalance_ratio
        body.append([f"{claim.better.source}, table {claim.better.table}", NOTHING if ratio is None else f"{ratio:g}", claim.says,
                     claim.split, f"+{claim.difference:.1f}",
                     *(said.get(name, NOT_RUN if name == PAPERS_TERMS else NOTHING) for name in terms)])
    header = ["paper", "ratio", "claim", "classes", "printed", *terms]
    return f"{_CLAIMS}\n{_counts(claims, found)}\n\n{compact_markdown(header, body)}\n"


def describe(one: Finding) -> str:
    """Say what was measured of a claim: the verdict, the difference with its interval, and what else there is to say."""
    verdict = ON_PAPERS_TERMS[one.verdict] if one.terms == PAPERS_TERMS else one.verdict
    ends = one.difference.interval
    interval = "" if ends is None else f" ({ends[0]:+.1f} to {ends[1]:+.1f})"
    return f"{verdict}: {one.difference.value:+.1f}{interval}{f'; {one.reason}' if one.reason else ''}"


def printed_section(lines: Sequence[Sequence[str]]) -> str:
    """Lay out how many figures each paper prints, and what is known of them."""
    if not lines:
        return ""
    table = compact_markdown(["paper", "printed rows", "run by the paper itself", "the figures in these"], lines)
    return f"\n## Printed figures\n\n[Every printed row]({PRINTED_PAGE}): who ran it, its command, what it takes.\n\n{table}\n"


def to_run_section(asked: Sequence[Asked], tables: Sequence[Table]) -> str:
    """Lay out the runs of the board's matrices that lack seeds; the first record of one counts at once."""
    body = []
    for run in asked:
        there = seeds_there(run, tables)
        if len(there) < len(run.seeds):
            body.append([run.terms, run.expression, f"{len(there)} of {len(run.seeds)} seeds" if there else NOT_RUN, run.cost])
    return f"{_TO_RUN}\n{compact_markdown(['terms', 'method', 'records', 'one seed takes at least'], body)}\n" if body else ""


def _counts(claims: Sequence[Claim], found: Sequence[Sequence[Finding]]) -> str:
    """Count for each paper how its claims came out on its own terms, and on the others that measured any."""
    papers = list(dict.fromkeys(claim.better.source for claim in claims))
    body = []
    for paper in papers:
        of_paper = [of_claim for claim, of_claim in zip(claims, found, strict=True) if claim.better.source == paper]
        own = Counter(one.verdict for of_claim in of_paper for one in of_claim if one.terms == PAPERS_TERMS)
        body.append([paper, str(len(of_paper)), *(str(own[verdict]) for verdict in (HOLDS, FAILS, OPEN)),
                     str(len(of_paper) - own.total())])
    return compact_markdown(["on the paper's own terms", "claims", *ON_PAPERS_TERMS.values(), NOT_RUN], body)
