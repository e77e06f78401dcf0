from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.training.small_batches import refused_in_our_words
from tests.support.own_images import write_classes

SENTENCE = ("a norm layer must see at least 2 values a channel, got 1 from a batch of 1 image a process: raise --batch-size or "
            "--image-size, or lower --accumulate")


@pytest.mark.parametrize(("layer", "shape"), [(nn.BatchNorm2d(3), (1, 3, 1, 1)), (nn.BatchNorm1d(3), (1, 3)),
                                              (nn.InstanceNorm2d(3), (4, 3, 1, 1))])
def test_what_torch_refuses_is_said_in_our_words(layer: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="^Expected more than 1"):
        layer(torch.zeros(shape))
    with pytest.raises(UserError, match=r"^a norm layer must see at least 2 values a channel, got 1 from a batch of [14] image"):
        with refused_in_our_words(shape[0]):
            layer(torch.zeros(shape))


def test_other_errors_and_larger_maps_are_left_alone() -> None:
    with refused_in_our_words(1):
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 2))
    with pytest.raises(ValueError, match="^another$"):
        with refused_in_our_words(1):
            raise ValueError("another")


def test_a_run_with_batches_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A map of 32 x 32 is 1 x 1 after the 32-fold reduction of a ResNet-10, and 2 x 2 where the image is 64 x 64."""
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LTBENCH_WORKERS", "0")
    root = write_classes(tmp_path / "pets", {"a": 2, "b": 2})
    for size, status in (("32", "failed"), ("64", "completed")):
        out = tmp_path / size
        code = main(["run", "--dataset", f"folder:{root}", "--methods", "ce", "--seeds", "0", "--protocol", "smoke", "--epochs",
                     "1", "--batch-size", "1", "--image-size", size, "--cpu", "--out", str(out)])
        assert code == (1 if status == "failed" else 0)
        (record,) = (json.loads(file.read_text(encoding="utf-8")) for file in out.glob("*.json"))
        assert (record["status"], record["reason"]) == (status, SENTENCE if status == "failed" else None)
        assert (SENTENCE in capsys.readouterr().err) == (status == "failed")
