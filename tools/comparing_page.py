"""Write what docs/comparing.md says of every method: the families, and what each needs beside cross-entropy.

``python tools/comparing_page.py`` fills the two marked parts of the page and leaves the rest, written by hand; a test fails
while one is out of date. All installed methods enter; nothing is trained and no data is read: each method's stages are built for
CIFAR-100-LT with random weights, and one step and one prediction of a few random images are counted.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ltbench.errors import brief
from ltbench.leaderboard.board import find_boards
from ltbench.leaderboard.tables import NOTHING
from ltbench.registry.discovery import Registry, load_registry
from ltbench.registry.specs import KINDS, MethodSpec
from method_costs import PLAIN, TRANSFORMER, Counted, Counter

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "comparing.md"
FAMILIES = {"loss": "Losses and weights", "margin": "Margins and logit adjustment", "sampler": "Sampling", "mixing": "Mixing",
            "contrastive": "Contrastive", "regularizer": "Regularizers", "experts": "Experts",
            "head": "Classifiers and second stages", "adaptation": "Adaptation of pre-trained networks", "tool": "Tools",
            "": "Others"}


def year(spec: MethodSpec) -> str:
    """Return the year of a method's paper, as its description says."""
    found = re.findall(r"\b(?:19|20)\d\d\b", spec.paper)
    return found[-1] if found else NOTHING


def parent(spec: MethodSpec, registry: Registry) -> str | None:
    """Return the method whose class another one is made from: as a preset, or as a class of its own."""
    specs = [entry.spec for entry in registry.methods.values()]
    if spec.is_preset:
        return next((other.name for other in specs if other.target == spec.target and not other.is_preset), None)
    targets = {f"{base.__module__}:{base.__name__}" for base in registry.methods.get(spec.name).load().__mro__[1:]}
    return next((other.name for other in specs if other.target in targets and not other.is_preset and not other.base), None)


def family(kind: str, registry: Registry) -> str:
    """List a family by year, each method below the one that it is made from."""
    specs = {entry.spec.name: entry.spec for entry in registry.methods.values() if entry.spec.kind == kind}
    parents = {name: parent(spec, registry) for name, spec in specs.items()}
    order = sorted(specs.values(), key=lambda spec: (year(spec) if spec.paper else "", spec.paper, spec.name))

    def lines(above: str | None, depth: int) -> Iterator[str]:
        for spec in order:
            own = parents[spec.name]
            if (own if own in specs else None) == above:
                made = f" Made from `{own}`." if own and own not in specs else ""
                said = f" ({spec.paper})" if spec.paper else ""
                yield f"{'    ' * depth}- `{spec.name}`{said}: {spec.summary}.{made}{stands_on(spec, registry)}"
                yield from lines(spec.name, depth + 1)

    return f"### {FAMILIES[kind]}\n\n" + "\n".join(lines(None, 0))


def stands_on(spec: MethodSpec, registry: Registry) -> str:
    """Say what a later stage stands on where nobody says otherwise; nothing where that is plain cross-entropy."""
    below = registry.methods.get(spec.name).load().below if 1 not in spec.stages else None
    return f" Stands on `{below}`." if below else ""


def on_boards(method: str, boards: Iterable[Mapping[str, Any]]) -> str:
    """Return what a prediction took in records beside cross-entropy's, in the first table of each board that has both."""
    found: dict[str, str] = {}
    for board in boards:
        for table in board["tables"]:
            costs = {row["method"]: row["cost"]["relative"] for row in table["rows"] if row["cost"]}
            own = costs.get(method, costs.get(f"{PLAIN}/{method}"))
            if own is not None and PLAIN in costs:
                found.setdefault(board["name"], f"{own / costs[PLAIN]:.2f}")
    return ", ".join(f"{figure} ({name})" for name, figure in found.items()) or NOTHING


def times(value: float, plain: float) -> str:
    """Return a quotient in two decimals; what is not nothing is never 0.00."""
    quotient = value / plain
    return "< 0.01" if 0 < quotient < 0.005 else f"{quotient:.2f}"


def line(spec: MethodSpec, own: Counted, plain: Counted, printed: str, boards: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a method's cells."""
    first, last = (times(step, plain.steps[0]) for step in own.steps)
    step = (first if first == last else f"{first} to {last}") if own.inputs else "none"
    reads = f"{own.views} x {own.streams}" if own.inputs == "images" else own.inputs or NOTHING
    return [f"`{spec.name}`", year(spec), ", ".join(map(str, sorted(spec.stages))), printed, reads, step,
            times(own.held, plain.held), times(own.kept, plain.kept), times(own.prediction, plain.prediction),
            on_boards(spec.name, boards)]


def needs(registry: Registry, boards: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of what every method needs, and why some are not counted."""
    counters = {False: Counter(registry), True: Counter(registry, {"backbone": TRANSFORMER})}
    plain = {kind: counter.count(PLAIN) for kind, counter in counters.items()}
    body: list[list[str]] = []
    left_out: list[str] = []
    for spec in sorted((entry.spec for entry in registry.methods.values()), key=lambda spec: spec.name):
        try:
            own = counters[spec.needs_transformer].count(spec.name)
        except Exception as error:  # whatever a plugin raises: its row says that it is missing, all others are there
            left_out.append(f"- `{spec.name}` is not counted: {brief(error)}")
            continue
        body.append(line(spec, own, plain[spec.needs_transformer], counters[False].printed(spec.name), boards))
    header = ["method", "year", "stage", "its paper's run, epochs", "views x streams", "step", "held", "kept", "prediction",
              "prediction, records"]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body))
    return "\n\n".join([table, *(["\n".join(left_out)] if left_out else [])])


def page(text: str) -> str:
    """Return the page with its marked parts as the installed methods and the boards have them."""
    registry, found = load_registry(strict=False), find_boards(ROOT / "leaderboards")
    boards = [json.loads((board.folder / "board.json").read_text(encoding="utf-8")) for board in found]
    kinds = [kind for kind in (*KINDS, "") if any(entry.spec.kind == kind for entry in registry.methods.values())]
    parts = {"families": "\n\n".join(family(kind, registry) for kind in kinds), "needs": needs(registry, boards)}
    for name, content in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{content}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
