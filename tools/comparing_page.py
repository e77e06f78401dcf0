"""Write what docs/comparing.md says of every method: the families, and what each needs beside cross-entropy.

``python tools/comparing_page.py`` fills the two marked parts of the page and leaves the rest, written by hand; a test fails
while one is out of date. All installed methods enter; nothing is trained and no data is read: each method's stages are built for
CIFAR-100-LT with random weights, and one step and one prediction of a few random images are counted. How long steps take stands
in ``docs/step-times.csv``, which ``tools/step_times.py`` writes.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import step_times
import torch

from choosing_page import WIDTH
from ltbench.errors import UserError, brief
from ltbench.leaderboard.board import read_board
from ltbench.leaderboard.tables import NOTHING
from ltbench.planning.expression import parse
from ltbench.registry.discovery import Registry, load_registry
from ltbench.registry.specs import KINDS, MethodSpec
from method_costs import PLAIN, TRANSFORMER, Counted, Counter

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "comparing.md"
MEASURED = "digits-lt"  # the board that has nearly all methods
FAMILIES = {"loss": "Losses and weights", "margin": "Margins and logit adjustment", "sampler": "Sampling", "mixing": "Mixing",
            "contrastive": "Contrastive", "regularizer": "Regularizers", "experts": "Experts",
            "head": "Classifiers and second stages", "adaptation": "Adaptation of pre-trained networks", "tool": "Tools",
            "": "Others"}

HEADER = ["method", "stage", "its paper's run, epochs", "views x streams", "step", "kept", "own, kB", "buffers, kB", "prediction",
          "on digits", "step time"]


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
                text = f"- `{spec.name}`{said}: {spec.summary}.{made}{stands_on(spec, registry)}"
                indent = "    " * depth
                yield textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
                yield from lines(spec.name, depth + 1)

    return f"### {FAMILIES[kind]}\n\n" + "\n".join(lines(None, 0))


def stands_on(spec: MethodSpec, registry: Registry) -> str:
    """Say what a later stage stands on where nobody says otherwise; nothing where that is plain cross-entropy."""
    below = registry.methods.get(spec.name).load().below if 1 not in spec.stages else None
    return f" Stands on `{below}`." if below else ""


def row_of(method: str, table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the row whose last stage is the method alone: that with the fewest options and stages, and on ``ce`` rather."""
    def order(row: Mapping[str, Any]) -> tuple[bool, int, bool]:
        name = row["method"]
        return "(" in name, name.count("/"), not name.startswith(f"{PLAIN}/")

    def last(row: Mapping[str, Any]) -> list[str]:
        return [node.name for node in parse(row["method"].partition(" #")[0])[-1]]

    return min((row for row in table["rows"] if last(row) == [method]), key=order, default=None)


def predicting(own: Mapping[str, Any] | None, plain: Mapping[str, Any] | None) -> str:
    """Return what a prediction took by the records of a row, beside another."""
    if not own or not plain or not own["cost"] or not plain["cost"]:
        return NOTHING
    return times(own["cost"]["relative"], plain["cost"]["relative"])


def measured(cells: Sequence[str] | None) -> str:
    """Return how long a step took beside one of cross-entropy: a median, and its range where one decimal shows one."""
    if cells is None:
        return NOTHING
    middle, low, high = (f"{float(cell):.1f}" for cell in cells[1:])
    if float(cells[3]) < 0.05:
        return "< 0.05"
    return middle if low == high else f"{middle} ({low} to {high})"


def times(value: float, plain: float) -> str:
    """Return a quotient in two decimals; what is not nothing is never 0.00."""
    quotient = value / plain
    return "< 0.01" if 0 < quotient < 0.005 else f"{quotient:.2f}"


def kilobytes(size: int) -> str:
    """Return bytes in thousands."""
    if not size:
        return NOTHING
    return f"{size / 1000:.1f}" if size < 100_000 else f"{size / 1000:,.0f}"


def costs(own: Counted, plain: Counted) -> list[str]:
    """Return the cells of what was counted."""
    first, last = (times(step, plain.steps[0]) for step in own.steps)
    step = (first if first == last else f"{first} to {last}") if own.inputs else "none"
    reads = f"{own.views} x {own.streams}" if own.inputs == "images" else own.inputs or NOTHING
    return [reads, step, times(own.kept, plain.kept), kilobytes(own.own), kilobytes(own.buffers),
            times(own.prediction, plain.prediction)]


def needs(registry: Registry, table: Mapping[str, Any]) -> str:
    """Return the table of what every method needs, and why some are not counted.

    Args:
        table: Of the board ``MEASURED``, whose rows noted what their predictions took.
    """
    clock = step_times.read()
    counters = {False: Counter(registry), True: Counter(registry, {"backbone": TRANSFORMER})}
    plain = {kind: counter.count(PLAIN) for kind, counter in counters.items()}
    body: list[list[str]] = []
    left_out: list[str] = []
    for spec in sorted((entry.spec for entry in registry.methods.values()), key=lambda spec: spec.name):
        like = plain[spec.needs_transformer]
        try:
            own = counters[spec.needs_transformer].count(spec.name)
        except Exception as error:  # whatever a plugin raises: its row says that it is missing, all others are there
            left_out.append(f"- `{spec.name}` is not counted: {error if isinstance(error, UserError) else brief(error)}.")
            continue
        row = row_of(spec.name, table)
        body.append([f"`{spec.name}`", ", ".join(map(str, sorted(spec.stages))), counters[False].printed(spec.name),
                     *costs(own, like), predicting(row, row_of(PLAIN, table)), measured(clock.get(spec.name))])
    rows = "\n".join("| " + " | ".join(cells) + " |" for cells in (HEADER, ["---"] * len(HEADER), *body))
    return "\n\n".join([rows, *(["\n".join(left_out)] if left_out else [])])


def page(text: str) -> str:
    """Return the page with its marked parts as the installed methods and the boards have them."""
    registry = load_registry(strict=False)
    board = read_board(ROOT / "leaderboards" / MEASURED)
    table = json.loads((board.folder / "board.json").read_text(encoding="utf-8"))["tables"][0]
    kinds = [kind for kind in (*KINDS, "") if any(entry.spec.kind == kind for entry in registry.methods.values())]
    parts = {"families": "\n\n".join(family(kind, registry) for kind in kinds), "needs": needs(registry, table)}
    for name, content in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{content}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)  # a few images at a time: threads would only wait for each other
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
