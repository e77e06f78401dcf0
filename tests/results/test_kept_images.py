"""Embeddings of test images that are kept: predictions of them are those of the images, and no method sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import ltbench
from ltbench.results.evaluate import predict_test
from ltbench.results.predictions import Predictions
from ltbench.testing import scene
from ltbench.testing.subject import Subject
from ltbench.training.distributed import make_accelerator
from ltbench.training.features import BankMaker
from ltbench.training.kept_images import KeptTestImages
from ltbench.training.store import StageStore

KEY = "ab1"


def same(a: Predictions, b: Predictions) -> bool:
    return all((getattr(a, name) == getattr(b, name)).all() for name in ("argmax", "confidence", "log_prob"))


@pytest.mark.parametrize("text", ["crt", "prototype", "crt/post_la"])
def test_predictions_are_those_of_the_images_to_the_bit(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, data = Subject(text.partition("/")[0]).trained(f"ce/{text}").engine, scene.task_data()
    ways: list[dict[str, Any]] = [{"flip": False}, {"flip": True}, {"flip": False, "noise": 0.2}, {"flip": True, "noise": 0.2},
                                  {"flip": False, "noise": 0.4}]
    for mixed, precision in (("no", "fp32"), ("bf16", "bf16")):
        accelerator = make_accelerator(mixed, cpu=True)
        expected = [predict_test(engine, data, accelerator, **way) for way in ways]
        store = StageStore(tmp_path, 10**11)
        store.path(KEY).mkdir(parents=True, exist_ok=True)
        kept = KeptTestImages(data, accelerator, store, KEY)
        with monkeypatch.context() as patch:
            for _ in range(2):
                assert all(same(predict_test(engine, data, accelerator, **way, kept=kept), before)
                           for way, before in zip(ways, expected, strict=True))
                patch.setattr(BankMaker, "_chunks", None)  # the second time nothing is embedded
        names = {path.stem for path in store.path(KEY).glob(f"*-{precision}-*.rows")}
        assert names == {f"test-{view}-{precision}-cpu" for view in (
            "plain", "plain-mirrored", "noise-0.2", "noise-0.2-mirrored", "noise-0.4")}
        assert not same(expected[0], expected[1]) and not same(expected[0], expected[2])
    make_accelerator(cpu=True)


class Spy(ltbench.Method):
    """Look, in every slot, at all that public names lead to."""

    name = "spy"
    stages = frozenset({2})
    seen: dict[str, list[Tensor]] = {}

    def _look(self, slot: str, ctx: ltbench.Context) -> None:
        self.seen.setdefault(slot, []).extend(_tensors([ctx, self]))
        with pytest.raises(ValueError, match="a method never sees other images"):
            ctx.features("test", "plain")

    def setup(self, ctx: ltbench.Context) -> None:
        self._look("setup", ctx)

    def fit(self, ctx: ltbench.Context) -> None:
        self._look("fit", ctx)

    def measure(self, ctx: ltbench.Context) -> dict[str, float]:
        self._look("measure", ctx)
        return {}

    def predict(self, ctx: ltbench.Context, output: ltbench.Output) -> Tensor:
        self._look("predict", ctx)
        return output.logits

    def adjust_logits(self, ctx: ltbench.Context, logits: Tensor) -> Tensor:
        self._look("adjust_logits", ctx)
        return logits


def _tensors(roots: list[Any]) -> Iterator[Tensor]:
    """Yield every tensor that public attributes, items and what methods are bound to lead to."""
    todo, known = list(roots), {}
    while todo:
        found = todo.pop()
        if id(found) in known:
            continue
        known[id(found)] = found  # alive, or its number would be another's
        if isinstance(found, Tensor):
            yield found
        elif isinstance(found, dict):
            todo += found.values()
        elif isinstance(found, (list, tuple, set)):
            todo += found
        elif isinstance(found, nn.Module) or type(found).__module__.startswith("ltbench"):
            names = [name for name in dir(found) if not name.startswith("_") and name not in ("seen", "T_destination")]
            todo += [value for name in names if not callable(value := getattr(found, name, None)) or isinstance(value, nn.Module)]
            if isinstance(found, nn.Module):
                todo += [*found.children(), *found.parameters(), *found.buffers()]


@pytest.mark.slow
def test_no_method_reaches_what_is_kept_of_test_images(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "resnet.safetensors")
    Spy.seen.clear()
    result = ltbench.run(methods=[Spy], protocol="smoke", seeds=0, cpu=True, out=tmp_path / "out", cache=tmp_path / "cache",
                         backbone="timm:test_resnet", weights=tmp_path / "resnet.safetensors")
    assert result.records[0].status == "completed"
    (file,) = tmp_path.glob("cache/stages/*/*/test-plain-fp32-cpu.rows")
    rows = torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.float32).view(100, -1)
    assert Spy.seen.keys() == {"setup", "fit", "measure", "predict", "adjust_logits"}
    for slot, tensors in Spy.seen.items():
        assert len(tensors) > 20, slot  # the walk went through the model
        for tensor in tensors:
            wide = tensor.dim() == 2 and tensor.shape[1] == rows.shape[1] and tensor.dtype == torch.float32
            assert not (wide and (tensor[:, None] == rows[None]).all(dim=2).any()), slot
            assert tuple(tensor.shape[1:]) not in {(1, 8, 8), (3, 8, 8), (3, 160, 160)}, slot
