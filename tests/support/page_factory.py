"""Boards of any size for the tests of the page, with figures that are a plain function of their place."""

from __future__ import annotations

from typing import Any

from ltbench.leaderboard.page import render_page
from ltbench.leaderboard.ranking import NOT_COMPARED, TIED, WORSE
from ltbench.leaderboard.tables import Heading

HOSTILE = "<script>alert(1)</script>"
PAPER = {"authors": "Somebody et al., 2020", "title": "On method 0", "link": "https://example.org/method-0",
         "methods": ["method_0"]}


def row(place: int, *, classes: int = 100, seeds: int = 3, **changes: Any) -> dict[str, Any]:
    """A row as ``board.json`` has it: accuracies fall with the place, few-shot ones rise."""
    def estimate(mean: float | None) -> dict[str, Any]:
        return {"mean": mean, "ci95": None if mean is None or seeds < 3 else [mean - 0.5, mean + 0.5], "runs": seeds}

    accuracy = {"all": 60 - place / 10, "many": 80 - place / 5, "medium": 50.0 + place % 7, "few": 20 + place / 8 + place % 3}
    metrics = {f"accuracy.{split}": estimate(value) for split, value in accuracy.items()}
    metrics |= {"worst_tenth": estimate(5.0 + place % 11), "harmonic_mean": estimate(17.123456789), "ece": estimate(0.1),
                "label_shift.built.forward50.accuracy": estimate(70 - place / 9),
                "label_shift.built.forward2.accuracy": estimate(65.0), "label_shift.built.backward50.accuracy": estimate(30.0)}
    value = {
        "rank": place + 1, "method": f"ce/method_{place}(strength={place / 8})", "overrides": {}, "external": None,
        "completed": [{"seed": seed, "split_seed": 0, "key": "f" * 64} for seed in range(seeds)], "diverged": 0, "failed": 0,
        "metrics": metrics, "seconds": estimate(1000.0 + 37 * (place % 29)),
        "runs": [{"seed": seed, "split_seed": 0, "accuracy": {name: mean + seed / 10 for name, mean in accuracy.items()}}
                 for seed in range(seeds)],
        "curve": [round(max(0.0, accuracy["many"] - (0.6 + 0.03 * (place % 5)) * at * 100 / classes), 2)
                  for at in range(classes)],
        "seconds_by_phase": {"stage 1": 900.0, "stage 2": 120.5}, "peak_memory_bytes": {"cuda": 2**31 + place * 2**20},
        "stages": [{"expression": "ce", "inputs": "images", "overrides": {},
                    "methods": [{"name": "ce", "hyperparameters": {}, "about": "cross-entropy"}]},
                   {"expression": f"method_{place}", "inputs": "features", "overrides": {"lr": 0.1},
                    "methods": [{"name": f"method_{place}", "about": "",
                                 "hyperparameters": {"strength": place / 8, "norm": True}}]}],
        "made_by": {"commits": ["a" * 40], "ltbench": ["0.1.0"], "plugins": ["ltbench 0.1.0"], "devices": ["cuda"],
                    "selection": ["last"], "tuning": ["0 trials"]},
        "command": f"ltbench run --methods 'ce/method_{place}(strength={place / 8})' --dataset cifar100-lt@100 --seeds 0,1,2 "
                   "--protocol common --precision bf16",
        "cost": {"parameters": 464_154 + place, "operations": 138_000_000, "relative": 1 + place / 100},
        "standing": TIED if place < 4 else WORSE, "rank_interval": [1, place + 4], "not_compared": None,
        "fates": {name: [round(accuracy[name], 1), 10.0, 5.0, round(85 - accuracy[name], 1)]
                  for name in ("many", "medium", "few")},
        "calibration": [[round((b + .5) / 15, 3), round(100 * (b + .5) / 20, 1), 6.67] for b in range(15)],
        "training": [[1, 6 * at, 3.2 * at, round(4 / (at + place % 5), 3)] for at in range(1, 31)],
    }
    return value | changes


def claim(verdict: str = "not comparable") -> dict[str, Any]:
    """A printed figure beside a row."""
    return {"source": "a paper", "table": "1", "row": "softmax", "setting": "", "accuracy": {"all": 59.0},
            "differences": {"all": 1.0}, "verdict": verdict, "reason": "epochs 200 instead of 400"}


def table(rows: list[dict[str, Any]], dataset: str = "cifar100-lt@100", track: str = "common", *, classes: int = 100,
          **changes: Any) -> dict[str, Any]:
    """A table as ``board.json`` has it, but for its heading, which is not yet text; every third row has a printed figure."""
    value = {
        "heading": Heading(dataset, track, "common protocol, resnet32, 200 epochs, 10,847 training images, bf16"),
        "track": track, "not_ranked": None, "rows": rows, "curve_names": None, "protocol": {},
        "curve_images": [round(500 * 0.01 ** (at / (classes - 1)), 2) for at in range(classes)],
        "reported": [[claim()] if place % 3 == 0 else [] for place in range(len(rows))],
    }
    return value | changes


def board(tables: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A board of such tables."""
    return {"name": "cifar", "title": "A board of many rows", "tolerance": 1.0, "tables": tables, "claims": [], "printed": [],
            "asked": [], "papers": [PAPER]} | changes


def parts(content: dict[str, Any]) -> tuple[dict[str, Any], list[Heading]]:
    """A board as ``board.json`` has it, and the headings of its tables."""
    tables = [{**table, "heading": str(table["heading"])} for table in content["tables"]]
    return {**content, "tables": tables}, [table["heading"] for table in content["tables"]]


def page(content: dict[str, Any]) -> str:
    """Its page."""
    return render_page(*parts(content))


def large() -> dict[str, Any]:
    """200 methods on three datasets."""
    names = ("cifar100-lt@100", "imagenet-lt", "inat18")
    return board([table([row(place) for place in range(200)], dataset) for dataset in names])


def unrun() -> dict[str, Any]:
    """A board without records: printed rows, one of them with its command, runs that are asked for, and a claim."""
    run = {"command": "ltbench run --methods ce", "cost": "2.5 M images, 1.0 PFLOP"}
    printed = [{"source": "a paper", "table": "1", "row": name, "dataset": "cifar10-lt", "imbalance_ratio": "100", "setting": "",
                "backbone": "resnet32", "run_by": run_by, "accuracy": {"all": 70.4}, "verdict": verdict, **more}
               for name, run_by, verdict, more in (
                   ("softmax", "this paper", "not run yet", run), ("focal", "quoted", None, {}))]
    asked = [{"terms": "cifar10-lt@100, common track", "method": name, "seeds": 3, "there": there,
              "cost": "1.0 M images, 2.0 PFLOP", "command": f"ltbench run --methods {name} --seeds 0,1,2"}
             for name, there in (("ce", 0), ("la", 3), ("drw", 1))]
    return board([], name="cifar10-lt", title="CIFAR-10-LT", printed=printed, asked=asked, claims=[paper_claim(found=[])])


def paper_claim(**changes: Any) -> dict[str, Any]:
    """A claim as ``board.json`` has it, which holds on the common track and was not run on the paper's terms."""
    found = {"terms": "common track, 200 epochs", "difference": 1.68, "ci95": [1.0, 2.3], "runs": 3, "verdict": "holds",
             "reason": "", "text": "holds: +1.7 (+1.0 to +2.3)"}
    return {"says": "Class means are better", "source": "a paper", "table": "1", "dataset": "cifar100-lt",
            "imbalance_ratio": 100.0, "split": "few", "printed": 2.55, "better": "ncm", "worse": "softmax",
            "found": [found]} | changes


def three() -> dict[str, Any]:
    """Three tables on two datasets: a row of one seed, a row without figures, a table without ranks."""
    return board([
        table([row(0), row(1, seeds=1), row(2, metrics={}, rank=None, diverged=3, standing=NOT_COMPARED, rank_interval=None,
                                            not_compared="a run broke")]),
        table([row(3)], track="paper"),
        table([row(4, rank=None), row(5, rank=None)], "imagenet-lt", not_ranked="custom protocol"),
    ])


def broken() -> dict[str, Any]:
    """A table of which no run completed, and one with a name that no line holds."""
    nothing = {"mean": None, "ci95": None, "runs": 0}
    lost = row(0, rank=None, metrics={}, seconds=nothing, runs=[], completed=[], curve=None, command=None, stages=[], diverged=3,
               seconds_by_phase={}, peak_memory_bytes={},
               made_by=dict.fromkeys(("commits", "ltbench", "plugins", "devices", "selection", "tuning"), []))
    return board([table([lost], curve_images=None), table([row(0, method="x" * 300), row(1)], track="paper")])
