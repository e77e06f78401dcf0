"""What stands beside the tables of a board: the papers' claims, what papers print, and what is still to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ltbench.leaderboard.claims import FAILS, HOLDS, OPEN
from ltbench.leaderboard.findings import PAPERS_TERMS
from ltbench.leaderboard.printed_page import NOT_RUN
from ltbench.leaderboard.sections import ON_PAPERS_TERMS
from ltbench.leaderboard.tables import NOTHING
from ltbench.results.accuracy import SPLITS

_MARKS = {HOLDS: "reproduced", FAILS: "not-reproduced", OPEN: "inconclusive"}
_SEVERAL = {HOLDS: "hold", FAILS: "do not hold"}  # of claims on other terms
Claim = Mapping[str, Any]


def claims_view(claims: Sequence[Claim]) -> dict[str, Any] | None:
    """Return claims by paper, each with what was measured on the paper's terms and on the first others; None without claims."""
    if not claims:
        return None
    papers = []
    for source in dict.fromkeys(claim["source"] for claim in claims):
        own = [claim for claim in claims if claim["source"] == source]
        papers.append({"source": source, "claims": [_claim(claim) for claim in own], **_counts(own)})
    others = Counter(one["terms"] for claim in claims if (one := elsewhere(claim)) is not None)
    return {"papers": papers, "total": len(claims), **_counts(claims), "others": [terms for terms, _ in others.most_common()]}


def elsewhere(claim: Claim) -> Mapping[str, Any] | None:
    """Return what was measured of a claim on the first other terms: the board's order puts the table of most rows first."""
    return next((one for one in claim["found"] if one["terms"] != PAPERS_TERMS), None)


def printed_view(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return printed rows by paper, as text."""
    papers: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        papers.setdefault(row["source"], []).append({
            "table": row["table"], "row": row["row"], "setting": row["setting"], "backbone": row["backbone"] or NOTHING,
            "ratio": str(row["imbalance_ratio"] or NOTHING), "run_by": row["run_by"],
            "figures": [f"{row['accuracy'][split]:g}" if split in row["accuracy"] else NOTHING for split in SPLITS],
            "verdict": row["verdict"] or "", "cost": row.get("cost", ""), "command": row.get("command", ""),
        })
    return [{"source": source, "rows": of_paper, "own": sum(row["run_by"] == "this paper" for row in of_paper),
             "commands": sum(bool(row["command"]) for row in of_paper)} for source, of_paper in papers.items()]


def asked_view(asked: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs that lack seeds, by their terms."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in asked:
        if run["there"] < run["seeds"]:
            state = f"{run['there']} of {run['seeds']} seeds" if run["there"] else NOT_RUN
            groups.setdefault(run["terms"], []).append({**run, "state": state})
    return [{"terms": terms, "runs": runs} for terms, runs in groups.items()]


def _counts(claims: Iterable[Claim]) -> dict[str, Any]:
    """Count how claims came out on the papers' terms, and on the first others."""
    own, other = Counter[str](), Counter[str]()
    for claim in claims:
        own.update(one["verdict"] for one in claim["found"] if one["terms"] == PAPERS_TERMS)
        if (one := elsewhere(claim)) is not None:
            other[one["verdict"]] += 1
    return {"own": _listed(own, ON_PAPERS_TERMS), "other": _listed(other, {name: name for name in _MARKS})}


def _listed(found: Counter[str], names: Mapping[str, str]) -> str:
    return ", ".join(f"{count} {name if count == 1 or name != verdict else _SEVERAL.get(verdict, name)}"
                     for verdict, name in names.items() if (count := found[verdict]))


def _claim(claim: Claim) -> dict[str, Any]:
    own = next((one for one in claim["found"] if one["terms"] == PAPERS_TERMS), None)
    ratio = claim["imbalance_ratio"]
    return {"says": claim["says"], "where": f"table {claim['table']}{'' if ratio is None else f', ratio {ratio:g}'}",
            "split": claim["split"], "printed": f"+{claim['printed']:.1f}", "own": _finding(own, NOT_RUN),
            "other": _finding(elsewhere(claim), NOTHING)}


def _finding(found: Mapping[str, Any] | None, nothing: str) -> dict[str, str]:
    if found is None:
        return {"verdict": nothing, "mark": "none", "figures": "", "reason": "", "terms": ""}
    verdict, _, rest = found["text"].partition(": ")
    figures, _, reason = rest.partition("; ")
    return {"verdict": verdict, "mark": _MARKS[found["verdict"]], "figures": figures.replace("-", "−"), "reason": reason,
            "terms": found["terms"]}
