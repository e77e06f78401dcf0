from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from ltbench.backbones import checkpoint
from ltbench.backbones.checkpoint import read_checkpoint
from ltbench.backbones.pretrained import open_weights
from ltbench.backbones.request import BackboneRequest
from ltbench.backbones.timm_family import build
from ltbench.training.external import read_backbone

WANTED = {"conv.weight", "encoder.norm.weight"}


@pytest.fixture(autouse=True)
def every_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_say", checkpoint._say.__wrapped__)


def under(*prefixes: str) -> dict[str, Tensor]:
    return {f"{''.join(prefixes)}{name}": torch.full((1,), float(number)) for number, name in enumerate(sorted(WANTED))}


@pytest.mark.parametrize(("content", "left_out"), [
    (under(), ()),
    (under("module."), ("module.",)),
    (under("module.", "encoder_q."), ("module.", "encoder_q.")),
    (under("_orig_mod.", "module.", "backbone."), ("_orig_mod.", "module.", "backbone.")),
    (under("module.", "_orig_mod."), ("_orig_mod.", "module.")),
    (under("backbone.", "module.", "model."), ("backbone.", "module.", "model.")),
    ({"state_dict": under("module."), "epoch": 3, "options": argparse.Namespace(lr=0.1)}, ("state_dict.", "module.")),
    ({"model": {"state_dict": under("backbone.")}}, ("model.", "state_dict.", "backbone.")),
    ({"state_dict": under("model."), "state_dict_ema": under()}, ("state_dict_ema.",)),
    (under("backbone.") | {"fc.weight": torch.zeros(1)}, ("backbone.",)),
    (under("backbone.", "module.") | {"conv.weight": torch.full((1,), 9.0)}, ("backbone.", "module.")),  # another's bare name
    ({"optimizer": {"state": {0: {"average": torch.zeros(1)}}}, "teacher": under("backbone.")}, ("teacher.", "backbone.")),
])
def test_prefixes_are_left_out_in_any_nesting(content: Any, left_out: tuple[str, ...], tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth").fitting(WANTED)
    assert {name: float(found.tensors[name]) for name in sorted(WANTED)} == {"conv.weight": 0.0, "encoder.norm.weight": 1.0}
    assert sorted(found.left_out) == sorted(left_out)
    found.tell()
    said = capsys.readouterr().err
    assert said.count("\n") == bool(left_out) and all(repr(prefix) in said for prefix in left_out)


@pytest.mark.parametrize(("taken", "other"), [("teacher", "student"), ("encoder_q", "encoder_k"),
                                              ("base_encoder", "momentum_encoder")])
def test_one_of_two_models_is_taken_whole(taken: str, other: str, tmp_path: Path) -> None:
    theirs = {f"module.{other}.{name}": value + 10 for name, value in under().items()}
    torch.save({**theirs, **{f"module.{taken}.{name}": value for name, value in under().items()}}, tmp_path / "x.pth")
    found = read_checkpoint(tmp_path / "x.pth").fitting(WANTED)
    assert found.tensors.keys() == WANTED and float(found.tensors["conv.weight"]) == 0.0


def test_weights_and_first_stages_are_read_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = timm.create_model("test_resnet", num_classes=7)
    wrapped = {f"module.encoder_q.{name}": value for name, value in model.state_dict().items()}
    path = tmp_path / "moco.pth"
    torch.save({"state_dict": wrapped, "epoch": 200}, path)
    said = f"{path}: 'state_dict.', 'module.', 'encoder_q.' before the names of its tensors left out\n"

    tensors = open_weights(str(path), "timm:test_resnet", download=False).tensors()
    assert capsys.readouterr().err == said
    backbone = build(BackboneRequest("test_resnet", 3, 160))
    read_backbone(path, backbone)
    assert capsys.readouterr().err == said
    expected = {name: value for name, value in model.state_dict().items() if not name.startswith("fc.")}
    assert tensors.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(tensors[name], value) and torch.equal(backbone.state_dict()[f"model.{name}"], value)


@pytest.mark.parametrize("before", ["", "module.", "state_dict.module."])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_classifier_beside_the_backbone(name: str, before: str, tmp_path: Path) -> None:
    model = timm.create_model(name, num_classes=7)
    expected = model.state_dict()
    own = timm.create_model(name, num_classes=0).state_dict().keys()
    assert expected.keys() > own
    path = tmp_path / "trained.pth"
    torch.save({f"{before}{'backbone.' if key in own else ''}{key}": value for key, value in expected.items()}, path)
    tensors = open_weights(str(path), f"timm:{name}", download=False).tensors()
    backbone = build(BackboneRequest(name, 3, 160))
    read_backbone(path, backbone)
    assert tensors.keys() == own
    for key in own:
        assert torch.equal(tensors[key], expected[key]) and torch.equal(backbone.state_dict()[f"model.{key}"], expected[key])
