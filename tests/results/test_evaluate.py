"""Evaluation through a folded copy of the backbone says what the backbone says."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from ltbench.cli.main import main
from ltbench.cli.reproduce import _elsewhere
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.results.evaluate import predict_test
from ltbench.testing import scene
from ltbench.testing.subject import Subject
from ltbench.training import embedding
from ltbench.training.distributed import make_accelerator
from ltbench.training.embedding import Embedder, embedding_with, evaluation_precision
from ltbench.training.engine import Engine
from tests.support.methods import NEED_A_FILE

# Of the largest log-probability: folding moves the last bits of fp32; bf16 has less than three digits.
TOLERANCE = {"fp32": 1e-5, "bf16": 0.02}


def log_probs(engine: Engine, precision: str | None) -> Tensor:
    """Return what an engine says of the test slice, in float64; None for the backbone itself."""
    data = scene.task_data()
    if precision is None:
        return scene_logits(engine).double().log_softmax(dim=1)
    embedder = Embedder(engine.trained.backbone, data, torch.device("cpu"), data.parts.test, data.test_indices, precision)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in embedder._network.modules())
    with embedding_with(engine, embedder):
        return scene_logits(engine).double().log_softmax(dim=1)


def scene_logits(engine: Engine) -> Tensor:
    return scene.Scene(scene.installed()).logits(engine)


def check(name: str) -> None:
    subject = Subject(name)
    for text in subject.expressions:
        engine = subject.trained(text).engine
        state = {key: value.clone() for key, value in engine.state_dict().items()}
        expected = log_probs(engine, None)
        for precision, tolerance in TOLERANCE.items():
            found = log_probs(engine, precision)
            worst = float((found - expected).abs().max() / expected.abs().max())
            assert worst <= tolerance, f"{text} in {precision}: {worst}"
        assert engine.trained.embedder is None
        assert all(torch.equal(value, state[key]) for key, value in engine.state_dict().items())


@pytest.mark.parametrize("name", ["ride", "prototype", "post_la"])
def test_experts_distances_and_adjusted_logits(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(load_registry().methods) - NEED_A_FILE))
def test_every_method(name: str) -> None:
    check(name)


@pytest.mark.parametrize(("mixed", "precision"), [("no", "fp32"), ("bf16", "bf16"), ("fp16", "fp32")])
def test_precision_follows_the_run(mixed: str, precision: str) -> None:
    assert evaluation_precision(cast(Any, SimpleNamespace(mixed_precision=mixed))) == precision


def test_a_bf16_run_embeds_in_bf16_and_decides_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, data = Subject("ce").trained("ce").engine, scene.task_data()
    types: list[torch.dtype] = []
    handle = engine.head.register_forward_hook(lambda module, inputs, output: types.extend([inputs[0].dtype,
                                                                                            output.logits.dtype]))
    plain = predict_test(engine, data, make_accelerator(cpu=True), flip=False)
    half = predict_test(engine, data, make_accelerator("bf16", cpu=True), flip=False)
    handle.remove()
    make_accelerator(cpu=True)
    assert set(types) == {torch.float32}
    difference = abs(plain.log_prob - half.log_prob).max()
    assert 1e-6 < difference < 0.1 and (plain.argmax == half.argmax).mean() > 0.95


@pytest.mark.parametrize(("options", "precision"), [([], "fp32"), (["--precision", "bf16"], "bf16")])
def test_a_record_says_which_precision_it_was(options: list[str], precision: str, tmp_path: Path) -> None:
    places = ["--out", str(tmp_path), "--cache", str(tmp_path / "cache")]
    assert main(["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "ce", *options, *places]) == 0
    record = records.read(next(tmp_path.glob("*.json")))
    assert record.environment.evaluation == precision
    notes = list(_elsewhere(record.environment.model_copy(update={"evaluation": None}), record.environment))
    assert notes == [] if precision == "fp32" else notes == ["test images were evaluated in fp32, and are in bf16"]


def test_parts_are_no_larger_than_what_is_quick_and_the_copy_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_AT_ONCE", 10 * 8 * 8)
    engine, data = Subject("ce").trained("ce").engine, scene.task_data()
    embedder = Embedder(engine.backbone, data, torch.device("cpu"), data.parts.test, data.test_indices)
    sizes: list[int] = []
    embedder._network.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    batch = torch.randn(25, 1, 8, 8)
    torch.testing.assert_close(embedder(batch), engine.backbone(batch), atol=1e-5, rtol=1e-4)
    assert sizes == [10, 10, 5]
    copy = weakref.ref(embedder._network)
    del embedder
    assert copy() is None
