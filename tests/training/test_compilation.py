"""Compiled training: the same figures, no new compilation after the first step, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools  # noqa: F401  torch's compiler needs it; on Python 3.11 it cannot be loaded once a test has looked for pip
import torch

from ltbench.results import records
from ltbench.running.toolchain import compiler_problem
from ltbench.testing import scene
from ltbench.testing.processes import last_words, launch
from ltbench.testing.scene import SEED, Scene
from ltbench.training.compilation import compiled
from ltbench.training.distributed import make_accelerator
from ltbench.training.loop import Row
from ltbench.training.stages import Stage, StageRunner
from ltbench.training.store import StageStore

pytestmark = [pytest.mark.slow, pytest.mark.skipif(compiler_problem() is not None, reason="there is no C++ compiler")]

# Says what a process compiled anew, and ran as its arguments tell.
COUNTING = """
import json, sys
from ltbench.cli.main import main
code = main(sys.argv[1:])
from torch._dynamo.utils import counters
print("counts", json.dumps([counters["inductor"]["fxgraph_cache_miss"], counters["stats"]["unique_graphs"]]))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def graphs() -> int:
    """Return how many passes were compiled in this process."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def train(text: str, cache: Path, *, compiles: bool = True, observe: object = None) -> Stage:
    """Train an expression's last stage on the digits."""
    place = Scene(scene.installed())
    runner = StageRunner(make_accelerator(cpu=True), StageStore(cache, 10**9), place.registry, compiles=compiles)
    plan, previous = place.last(text)
    return runner.obtain(plan, SEED, place.data, previous, observe or (lambda row: None))  # type: ignore[arg-type]


# Whole, in parts of its own (a trunk twice a step), with experts, and split where a draw says.
@pytest.mark.parametrize("text", ["ce", "bbn", "ride", "manifold_mixup"])
def test_methods_train_as_without_compiling(text: str, cache: Path, tmp_path: Path) -> None:
    before = graphs()
    stage, plain = train(text, cache), train(text, tmp_path, compiles=False)
    assert graphs() > before
    for row, expected in zip(stage.curve, plain.curve, strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    found, wanted = stage.engine.state_dict(), plain.engine.state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-2, atol=1e-3)
    assert any((cache / "compiled").iterdir())


def test_an_interrupted_training_goes_on(cache: Path, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(row: Row) -> None:
        raise Interrupted

    whole = train("ce", tmp_path / "whole")
    with pytest.raises(Interrupted):
        train("ce", tmp_path / "resumed", observe=interrupt)
    before = graphs()
    resumed = train("ce", tmp_path / "resumed")
    assert graphs() == before
    for name, value in whole.engine.state_dict().items():
        assert torch.equal(resumed.engine.state_dict()[name], value), name


def test_only_training_is_compiled_and_nothing_stays(cache: Path) -> None:
    engine, _, _ = Scene(scene.installed()).build("ce", cache)
    names, folder = list(engine.state_dict()), os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    images = torch.randn(scene.BATCH, 1, 8, 8)
    before = graphs()
    with compiled(engine, cache, alone=True):
        engine.train()
        engine.embed(images).sum().backward()
        trained = graphs()
        engine.eval()
        for size in (3, 5):
            with torch.no_grad():
                engine.embed(images[:size])
        assert graphs() == trained <= before + 1
        assert list(engine.state_dict()) == names
    assert all(part._compiled_call_impl is None for part in engine.modules())
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == folder


@pytest.mark.parametrize("text", ["ce/crt", "ce/bn_stats", "ce/prototype(inputs=images)"])
def test_a_backbone_that_does_not_learn_is_left_alone(text: str, cache: Path) -> None:
    engine, _, _ = Scene(scene.installed()).build(text, cache)
    with compiled(engine, cache, alone=True):
        assert all(part._compiled_call_impl is None for part in engine.modules())


def test_a_second_process_finds_it_compiled(cache: Path, tmp_path: Path) -> None:
    def run(out: str) -> tuple[int, int]:
        arguments = ["run", "--cpu", "--protocol", "smoke", "--methods", "ce", "--seeds", "0,1", "--compile",
                     "--cache", str(cache), "--out", str(tmp_path / out)]
        done = subprocess.run([sys.executable, "-c", COUNTING, *arguments], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("counts ")]
        missed, made = json.loads(line.removeprefix("counts "))
        return missed, made

    _, made = run("first")
    assert made == 1  # for both seeds, and none for evaluation
    for folder in (cache / "stages").iterdir():
        folder.rename(tmp_path / folder.name)  # trained once more, not found trained
    assert run("second") == (0, 1)
    first, second = ({item.path.name: item.record for item in records.read_directory(tmp_path / out)[0]}
                     for out in ("first", "second"))
    assert [records.equal(first[name], second[name]) for name in first] == [[], []]
    assert all(record.environment.compiled is True for record in first.values())


def test_two_processes_and_parts_of_a_batch(cache: Path, tmp_path: Path) -> None:
    def figures(*options: str) -> list[float]:
        out = tmp_path / f"runs{len(options)}"
        own = cache if options else tmp_path / "cache"
        command = [sys.executable, "-m", "ltbench.cli.main", "run", "--cpu", "--protocol", "smoke", "--methods", "ce", "--seeds",
                   "7", "--accumulate", "2", "--out", str(out), "--cache", str(own), *options]
        codes = launch(command, 2, tmp_path, seconds=300)
        assert codes == [0, 0], last_words(tmp_path, 2)
        ((_, record),), _ = records.read_directory(out)
        assert record.environment.world_size == 2 and record.environment.compiled == bool(options)
        return [row.loss for row in record.curve]

    assert figures("--compile") == pytest.approx(figures(), rel=1e-4)


