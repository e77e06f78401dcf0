from __future__ import annotations

import builtins
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench_adaptation.text_features import read_text_features, write_text_features

open_clip: Any = pytest.importorskip("open_clip")
TINY = {"embed_dim": 12, "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sha256(name: str = "text.safetensors") -> str:
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()[:16]


def test_rows_are_found_by_name_whatever_the_order() -> None:
    features = torch.randn(4, 3)
    write_text_features(Path("text.safetensors"), features, ["Maple Tree", "cat", "maple_tree", "dog"])
    rows = read_text_features("text.safetensors", sha256(), ["dog", "maple_tree", "CAT", "maple-tree"], 3)
    assert torch.equal(rows, features[[3, 2, 1, 0]])  # as it is written first; else the first with the same words


@pytest.mark.parametrize(("changes", "message"), [
    ({"name": ""}, "text_file must name a safetensors file of text features .ltbench text-features writes one., got none"),
    ({"name": "no.safetensors"}, "text_file must be a file that can be read, got no.safetensors: No such file or directory"),
    ({"name": "../text.safetensors"}, "text_file must be below the folder that ltbench is run in, got ../text.safetensors"),
    ({"sha256": "0" * 16}, "text_sha256 must be [0-9a-f]{16} .or more of it. for text.safetensors, got 0000000000000000"),
    ({"classes": ["cat", *"vwxyz", "cow"]},
     "text_file must have a row for every class, text.safetensors has none for 'v', 'w', 'x', 'y', 'z' and 1 more"),
    ({"dim": 7}, r"text_file must hold features of 7 numbers, as the backbone gives, or a projection of shape \(7, 3\); "
                 r"text.safetensors has features of 3 numbers and a projection of \(5, 3\)"),
])
def test_refuses_and_names_what_is_missing(changes: dict[str, Any], message: str) -> None:
    write_text_features(Path("text.safetensors"), torch.randn(2, 3), ["cat", "dog"], torch.randn(5, 3))
    given: dict[str, Any] = {"name": "text.safetensors", "sha256": sha256(), "classes": ["cat"], "dim": 5, **changes}
    with pytest.raises(UserError, match=f"^{message}$") as caught:
        read_text_features(given["name"], given["sha256"], given["classes"], given["dim"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("tensors", "metadata"), [
    ({"rows": torch.randn(2, 3)}, {"classes": '["a", "b"]'}),
    ({"features": torch.randn(2, 3)}, {}),
    ({"features": torch.randn(2, 3)}, {"classes": "a, b"}),
    ({"features": torch.randn(3, 3)}, {"classes": '["a", "b"]'}),
    ({"features": torch.zeros(2, 3)}, {"classes": '["a", "b"]'}),
    ({"features": torch.full((2, 3), torch.nan)}, {"classes": '["a", "b"]'}),
    ({"features": torch.randn(2, 3), "projection": torch.randn(3, 4)}, {"classes": '["a", "b"]'}),
    (None, {}),
])
def test_a_damaged_file_is_one_line(tensors: dict[str, torch.Tensor] | None, metadata: dict[str, str]) -> None:
    if tensors is None:
        Path("text.safetensors").write_bytes(b"nothing of the kind")
    else:
        save_file(tensors, "text.safetensors", metadata)
    with pytest.raises(UserError, match="text_file must (be|hold) ") as caught:
        read_text_features("text.safetensors", sha256(), ["a"], 3)
    assert "\n" not in str(caught.value)


@pytest.fixture
def model(place: Path) -> str:
    """A CLIP of a size for tests, with random weights in a file."""
    (place / "tiny-clip.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(place / "tiny-clip.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-clip").state_dict(), place / "tiny.pt")
    return "tiny-clip"


def test_the_command_writes_what_the_model_says_of_each_sentence(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("names.txt").write_text("maple_tree\n\ncat\n")
    templates = ["a photo of a {}.", "a drawing of the {}"]
    assert main(["text-features", "--classes", "names.txt", "--model", model, "--weights", "tiny.pt", "--out", "text.safetensors",
                 *(part for template in templates for part in ("--template", template))]) == 0
    assert f"use it as lift(text_file=text.safetensors,text_sha256={sha256()})" in capsys.readouterr().out
    clip = open_clip.create_model(model, pretrained="tiny.pt").eval()
    tokenizer = open_clip.get_tokenizer(model)
    with safe_open("text.safetensors", "pt") as file, torch.no_grad():
        features, projection = file.get_tensor("features"), file.get_tensor("projection")
        assert json.loads(file.metadata()["classes"]) == ["maple_tree", "cat"]
        assert json.loads(file.metadata()["templates"]) == templates
        for row, words in enumerate(("maple tree", "cat")):
            each = [F.normalize(clip.encode_text(tokenizer([template.format(words)]))[0], dim=0) for template in templates]
            torch.testing.assert_close(features[row], (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-5)
        images = torch.randn(2, 3, 16, 16)
        seen = clip.encode_image(images)  # by the whole tower, of which the projection is the end
        clip.visual.proj = None
        torch.testing.assert_close(clip.encode_image(images) @ projection, seen, rtol=1e-4, atol=1e-5)
    rows = read_text_features("text.safetensors", sha256(), ["cat"], 32)
    torch.testing.assert_close(rows, features[1:] @ projection.T)


def test_class_names_of_a_dataset(model: str) -> None:
    assert main(["text-features", "--dataset", "digits-lt", "--model", model, "--weights", "tiny.pt",
                 "--out", "t.safetensors"]) == 0
    with safe_open("t.safetensors", "pt") as file:
        assert len(json.loads(file.metadata()["classes"])) == 10 == len(file.get_tensor("features"))


def test_wordnets_number_is_no_part_of_a_sentence(model: str) -> None:
    Path("names.txt").write_text("crane\ncrane (n02012849)\ncrane (left)\n")
    assert main(["text-features", "--classes", "names.txt", "--model", model, "--weights", "tiny.pt",
                 "--out", "t.safetensors"]) == 0
    with safe_open("t.safetensors", "pt") as file:
        plain, numbered, other = file.get_tensor("features")
        assert torch.equal(plain, numbered) and not torch.equal(plain, other)
        assert json.loads(file.metadata()["classes"])[1] == "crane (n02012849)"  # by which the row is found


@pytest.mark.parametrize(("changes", "message"), [
    (["--model", "no-such-clip"], "--model must be one of open_clip.list_models(), got 'no-such-clip'"),
    (["--weights", "nowhere.pt"], "--weights must be a file, or a tag of tiny-clip (which has none), got nowhere.pt"),
    (["--weights", "names.txt"], "--weights names.txt cannot be read as tiny-clip: "),
    (["--template", "a photo"], "--template must have one {} for the class's name, got 'a photo'"),
    (["--classes", "no.txt"], "--classes must be a text file, got no.txt"),
    (["--classes", "twice.txt"], "--classes must name each class once, got 'cat' twice in twice.txt"),
    (["--classes", "empty.txt"], "--classes must name each class once, got none in empty.txt"),
    (["--out", "no/folder.safetensors"], "--out must be a file that can be written, got no/folder.safetensors"),
    (["--model", "ViT-B-32", "--weights", "openai"], "are not in the local cache: add --download, or give a file"),
])
def test_what_cannot_be_is_one_line(model: str, changes: list[str], message: str, capsys: pytest.CaptureFixture[str],
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    Path("names.txt").write_text("cat\n")
    Path("twice.txt").write_text("cat\ncat\n")
    Path("empty.txt").write_text("\n")
    usual = ["text-features", "--classes", "names.txt", "--model", model, "--weights", "tiny.pt", "--out", "t.safetensors"]
    assert main([*usual, *changes]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and "\n" not in error, error


@pytest.mark.parametrize(("names", "first"), [
    (("species 0", "species 1"), "species 0"),
    (("Aves/2761", "Fungi/17"), "Aves/2761"),
])
def test_numbers_are_no_names(names: tuple[str, ...], first: str, monkeypatch: pytest.MonkeyPatch,
                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ltbench.class_names", lambda text: names, raising=False)
    assert main(["text-features", "--dataset", "inat18", "--model", "x", "--weights", "y", "--out", "t.safetensors"]) == 2
    assert capsys.readouterr().err == (
        f"ltbench: --dataset must have names of classes, all that is known of inat18 are numbers such as {first!r}: say where "
        "its images are with LTBENCH_DATA, for their folders may say more, or "
        "write a file yourself, see docs/foundation-features.md\n")
    assert not Path("t.safetensors").exists()


def test_without_open_clip_it_says_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *others: Any, **named: Any) -> Any:
        if name == "open_clip":
            raise ImportError(name)
        return real(name, *others, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["text-features", "--dataset", "digits-lt", "--model", "x", "--weights", "y", "--out", "t.safetensors"]) == 2
    assert "text features need open_clip: pip install 'ltbench[text]'" in capsys.readouterr().err
