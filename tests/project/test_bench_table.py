"""The table behind `make bench`: tools/bench_table.py."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "bench_table.py"

# By a clock of its own: on a busy machine a nap of 0.01 s takes as long as one of 0.1 s.
BENCHMARK = """
import pytest

now = 0.0

def clock():
    return now

def nap(seconds):
    global now
    now += seconds

@pytest.mark.benchmark(group="a nap", timer=clock)
@pytest.mark.parametrize("way", ["long", "short"])
def test_nap(benchmark, way):
    benchmark.extra_info["reference" if way == "long" else "goal"] = way == "long" or 2
    benchmark.pedantic(nap, (0.5 if way == "long" else 0.125,), rounds=2)
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_table", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(name: str, seconds: float, group: str | None = "g", **info: Any) -> dict[str, Any]:
    return {"name": name, "group": group, "extra_info": info, "stats": {"min": seconds}}


def test_a_ratio_is_the_reference_over_the_entry(tool: ModuleType) -> None:
    entries = [entry("test_peer", 3.0, reference=True), entry("test_ours[fp32]", 2.0, goal=1.35),
               entry("test_ours[bf16]", 1.5, goal=2.2), entry("test_other", 0.0025)]
    assert list(tool.tables(entries)) == [
        "| g | time | times as fast | goal |",
        "| --- | ---: | ---: | --- |",
        "| other | 2.5 ms | 1,200 |  |",
        "| ours[bf16] | 1.5 s | 2 | 2.2, missed |",
        "| ours[fp32] | 2 s | 1.5 | 1.35 |",
        "| peer | 3 s | 1 | reference |",
    ]


def test_groups_stand_apart(tool: ModuleType) -> None:
    lines = list(tool.tables([entry("test_a", 1e-5, None), entry("test_b", 4.0, reference=True), entry("test_c", 2.0, None)]))
    assert lines[2] == "| a | 10 us |  |  |" and lines[3] == "| c | 2 s |  |  |" and lines[4] == ""
    assert lines[0].startswith("| without a group |") and lines[5].startswith("| g |")


def test_two_references_compare_nothing(tool: ModuleType) -> None:
    lines = list(tool.tables([entry("a", 1.0, reference=True), entry("b", 1.0, reference=True), entry("c", 1.0, goal=3)]))
    assert lines[-1] == "| c | 1 s |  | 3 |"


def test_a_part_stands_for_the_whole(tool: ModuleType) -> None:
    slow = entry("loops", 2.0, reference=True)
    slow["extra_info"]["scale"] = 1500.0
    lines = list(tool.tables([slow, entry("ours", 10.0, goal=200)]))
    assert lines[-2:] == ["| ours | 10 s | 300 | 200 |", "| loops | 3,000 s (1,500 times a part) | 1 | reference |"]


def test_it_reads_what_pytest_benchmark_writes(tmp_path: Path) -> None:
    (tmp_path / "test_nap.py").write_text(BENCHMARK)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_nap.py", "--benchmark-json=out.json"]
    # In a worker of several test processes, which share the cores, pytest-benchmark would measure nothing.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    subprocess.run(run, cwd=tmp_path, env=alone, check=True, capture_output=True)
    table = subprocess.run([sys.executable, TOOL, "out.json"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [row[0] for row in rows] == ["a nap", "---", "nap[short]", "nap[long]"]
    assert rows[2][1:] == ["125 ms", "4", "2"] and rows[3][1:] == ["500 ms", "1", "reference"]


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"runs": []})])
def test_another_file_is_refused(tool: ModuleType, tmp_path: Path, content: str | None,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.json"
    if content is not None:
        path.write_text(content)
    assert tool.main([str(path)]) == 2
    assert "must be a file that pytest --benchmark-json wrote" in capsys.readouterr().err
    assert tool.main([]) == 2
