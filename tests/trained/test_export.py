"""``ltbench export``: what leaves the suite says the same as the record, read by libraries that know nothing of ltbench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from ltbench.backbones.resized import Scaled
from ltbench.cli.main import main
from ltbench.results.predictions import Predictions
from tests.support.pretrained import train
from tests.support.trained_runs import TrainedRuns, make_runs


def _export(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["export", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def _card(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        card: dict[str, Any] = json.loads(file.metadata()["ltbench"])
    return card


def _prepared(folder: Path, card: dict[str, Any]) -> Tensor:
    """Prepare test images as a card says, with Pillow and numpy alone."""
    seen = card["preprocessing"]
    assert seen["shorter_side"] == seen["size"][0]  # images in memory: nothing is cut off
    mode = "L" if seen["colors"] == "gray" else "RGB"
    pixels = np.stack([np.asarray(Image.open(path).convert(mode), dtype=np.float32) for path in sorted(folder.glob("*.png"))])
    pixels = pixels[..., None] if mode == "L" else pixels
    return torch.tensor((pixels / 255 - seen["mean"]) / seen["std"], dtype=torch.float32).permute(0, 3, 1, 2)


def _assert_as_recorded(logits: Tensor, record: Path) -> None:
    wanted = Predictions.load(record.with_suffix(".npz"))
    probabilities = logits.detach().double().softmax(dim=1)
    assert (probabilities.argmax(dim=1).numpy() == wanted.argmax).all()
    assert np.abs(probabilities.amax(dim=1).numpy() - wanted.confidence).max() < 1e-4


@pytest.mark.parametrize("expression", ["ce/crt", "ce/crt/post_la"])
def test_safetensors_hold_weights_and_the_card(expression: str, trained_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    record, file = trained_runs.record(expression), tmp_path / "models" / "model.safetensors"
    code, out, err = _export(capsys, record, "--to", file, "--cache", trained_runs.cache)
    assert (code, out) == (0, f"{expression} on digits-lt@20, seed 0: {file}\n")
    card = _card(file)
    assert card["methods"] == expression and card["classes"] == [str(k) for k in range(10)] and card["mirrored"] is False
    assert card["accuracy"] == json.loads(record.read_text())["metrics"]["accuracy"]["all"]
    assert str(tmp_path) not in json.dumps(card)
    with safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}
    # The digits' network by hand: what its source says of it is no more than its tensors' names.
    from ltbench.backbones.digits import build
    from ltbench.backbones.request import BackboneRequest

    backbone = build(BackboneRequest("digits", 1, 8)).eval()
    backbone.load_state_dict({name.removeprefix("backbone."): value for name, value in tensors.items() if "backbone." in name})
    features = backbone(_prepared(digit_files, card))
    logits = features @ tensors["head.classifier.weight"].T + tensors["head.classifier.bias"]
    if "post_la" in expression:
        (shift,) = [value for name, value in tensors.items() if name.startswith("stage3.methods.post_la.")]
        logits = logits - shift
    _assert_as_recorded(logits, record)


def test_safetensors_are_a_first_stage(trained_runs: TrainedRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.safetensors"
    assert _export(capsys, trained_runs.record("ce"), "--to", file, "--cache", trained_runs.cache)[0] == 0
    made = make_runs(tmp_path, "--stage1", str(file), "--protocol", "quick", "--epochs", "2", "--methods", "ce")
    given, wanted = (Predictions.load(path.with_suffix(".npz")) for path in (made.record("ce"), trained_runs.record("ce")))
    assert (given.argmax == wanted.argmax).all() and np.abs(given.confidence - wanted.confidence).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("expression", ["ce", "ce/ncm", "ce/post_la", "ce/tau_norm", "sade"])
def test_onnx_says_what_the_record_holds(expression: str, trained_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    record, file = trained_runs.record(expression), tmp_path / "model.onnx"
    code, out, err = _export(capsys, record, "--to", file, "--cache", trained_runs.cache)
    assert (code, out, [path.name for path in tmp_path.iterdir()]) == (0, f"{expression} on digits-lt@20, seed 0: {file}\n",
                                                                     ["model.onnx"])
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["ltbench"])
    (logits,) = session.run(["logits"], {"images": _prepared(digit_files, card).numpy()})
    _assert_as_recorded(torch.tensor(logits), record)


@pytest.mark.slow
def test_a_mirrored_protocol_stays_mirrored_in_onnx(tmp_path: Path, digit_files: Path, capsys: pytest.CaptureFixture[str],
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench.data.digits import PROTOCOLS

    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setitem(PROTOCOLS, "quick", PROTOCOLS["quick"].replace(epochs=1, eval_flip=True))
    made, file = make_runs(tmp_path, "--methods", "ce"), tmp_path / "model.onnx"
    assert _export(capsys, made.record("ce"), "--to", file, "--cache", made.cache)[0] == 0
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["ltbench"])
    assert card["mirrored"] is True
    (logits,) = session.run(["logits"], {"images": _prepared(digit_files, card).numpy()})
    _assert_as_recorded(torch.tensor(logits), made.record("ce"))


@pytest.fixture(scope="module")
def timm_runs(tmp_path_factory: pytest.TempPathFactory) -> TrainedRuns:
    return make_runs(tmp_path_factory.mktemp("timm"), "--protocol", "quick", "--epochs", "1", "--backbone", "timm:test_resnet",
                     "--methods", "ce,ce/crt,ce/post_la,ce/ncm")


@pytest.mark.slow
@pytest.mark.parametrize("expression", ["ce", "ce/crt", "ce/post_la"])
def test_timm_reads_its_checkpoint(expression: str, timm_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    """A classifier that a later stage adjusts is folded into timm's own."""
    record = timm_runs.record(expression)
    code, out, _ = _export(capsys, record, "--to", f"timm:{tmp_path / 'pets'}", "--cache", timm_runs.cache)
    file = tmp_path / "pets" / "model.safetensors"
    assert (code, out) == (0, f"{expression} on digits-lt@20, seed 0: {file}\n")
    model = timm.create_model("test_resnet", num_classes=10, in_chans=1, checkpoint_path=str(file)).eval()
    images = _prepared(digit_files, _card(file))
    _assert_as_recorded(model(images), record)
    named = timm.create_model(f"local-dir:{file.parent}", pretrained=True).eval()
    assert torch.equal(named(images[:8]), model(images[:8]))
    config = timm.data.resolve_model_data_config(named)
    assert tuple(config["input_size"]) == (1, 8, 8) and tuple(config["mean"]) == (0.3059,) and config["crop_pct"] == 1.0
    assert named.pretrained_cfg["label_names"] == [str(k) for k in range(10)]


@pytest.mark.slow
@pytest.mark.parametrize(("option", "method", "record"), [("--weights", "crt", "ce/crt"), ("--init", "ce", "ce")])
def test_timm_weights_from_elsewhere_keep_their_size(option: str, method: str, record: str, tmp_path: Path, digit_files: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    """Frozen, or as a start, from which biases and the classifier are trained."""
    weights = tmp_path / "weights.safetensors"
    train("test_resnet", weights, steps=2, lr=1e-3)
    tune = ["--tune", "bias"] if option == "--init" else []
    made = make_runs(tmp_path, "--backbone", "timm:test_resnet", option, str(weights), *tune, "--protocol", "quick", "--epochs",
                     "1", "--methods", method)
    options = ["--to", f"timm:{tmp_path / 'out'}", "--cache", made.cache, "--weights", weights]
    assert _export(capsys, made.record(record), *options)[0] == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["pretrained_cfg"]["input_size"] == [3, 160, 160] and config["ltbench"]["preprocessing"]["size"] == [8, 8]
    model = timm.create_model("test_resnet", num_classes=10, checkpoint_path=str(tmp_path / "out" / "model.safetensors")).eval()
    images = _prepared(digit_files, config["ltbench"])
    seen = config["pretrained_cfg"]
    large = Scaled(160, seen["interpolation"], seen["mean"], seen["std"])(images)
    with torch.no_grad():
        _assert_as_recorded(torch.cat([model(part) for part in large.split(100)]), made.record(record))


@pytest.mark.slow
def test_what_timm_cannot_say_is_refused(timm_runs: TrainedRuns, trained_runs: TrainedRuns, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    for runs, expression, words in ((timm_runs, "ce/ncm", "are no softmax of linear functions of the features"),
                                    (trained_runs, "ce", "needs one backbone of timm, got digits of ce")):
        code, out, err = _export(capsys, runs.record(expression), "--to", f"timm:{tmp_path / 'out'}", "--cache", runs.cache)
        assert (code, out, err.count("\n")) == (2, "", 1) and words in err
    assert not (tmp_path / "out").exists()


def test_other_endings_and_a_missing_onnx_are_refused(trained_runs: TrainedRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    record = trained_runs.record("ce")
    code, _, err = _export(capsys, record, "--to", tmp_path / "model.pt", "--cache", trained_runs.cache)
    assert (code, err.count("\n")) == (2, 1) and "--to must be FILE.safetensors, FILE.onnx, timm or timm:FOLDER, got" in err
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    code, _, err = _export(capsys, record, "--to", tmp_path / "model.onnx", "--cache", trained_runs.cache)
    assert (code, err) == (2, "ltbench: --to FILE.onnx needs onnx: pip install 'ltbench[export]'\n")


def test_a_model_that_onnx_cannot_hold_is_one_line(trained_runs: TrainedRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    """A prediction that looks at its own values while it is traced."""
    pytest.importorskip("onnxscript")
    from ltbench.trained.network import Network

    plain = Network.forward
    monkeypatch.setattr(Network, "forward", lambda self, images: plain(self, images if images.mean() > 0 else images.flip(3)))
    code, out, err = _export(capsys, trained_runs.record("ce"), "--to", tmp_path / "model.onnx", "--cache", trained_runs.cache)
    assert (code, out, err.count("\n"), list(tmp_path.iterdir())) == (2, "", 1, [])
    assert "ce cannot be written as ONNX: " in err
