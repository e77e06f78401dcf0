from __future__ import annotations

import pytest
import torch

from ltbench.cli.main import main
from ltbench.errors import UserError
from ltbench.planning.plan import plan_run
from ltbench.registry.discovery import load_registry
from ltbench.terms.task import Task
from ltbench.testing import scene
from ltbench.testing.scene import Scene

PLACE = Scene(scene.installed(), protocol=scene.PROTOCOL.replace(backbone=scene.TRANSFORMER))
ADAPTED = ("bitfit", "lora", "adaptformer", "vpt", "lift")


@pytest.mark.parametrize("text", ["lora+la", "bitfit+drw", "adaptformer/crt", "vpt/ncm", "lift+focal", "lift+drw", "lora+ldam",
                                  "linear_probe+la", "adaptformer+mixup", "bitfit/tau_norm", "lora+rs/lncm", "lift/crt+tte"])
def test_they_stand_with_losses_and_below_later_stages(text: str) -> None:
    with scene.scratch() as folder:
        stage = PLACE.train(text, folder)
    assert bool(torch.isfinite(PLACE.logits(stage.engine)).all())


@pytest.mark.parametrize("text", ["lora+adaptformer", "lift+vpt", "bitfit+linear_probe", "lora+ride"])
def test_one_adaptation_a_stage(text: str) -> None:
    with pytest.raises(UserError, match="cannot stand in one stack: both own 'build_backbone'"):
        scene.plan(text, PLACE.registry, protocol=PLACE.protocol)


def test_a_later_stage_shares_the_adapted_one() -> None:
    keys = {text: [stage.key for stage in scene.plan(text, PLACE.registry, protocol=PLACE.protocol).stages]
            for text in ("lora", "lora/ncm", "lora/crt", "lora(rank=4)", "lora(rank=8)/ncm", "bitfit")}
    assert keys["lora"][0] == keys["lora/ncm"][0] == keys["lora/crt"][0] == keys["lora(rank=8)/ncm"][0]
    assert len({keys[text][0] for text in ("lora", "lora(rank=4)", "bitfit")}) == 3


@pytest.mark.parametrize("method", ADAPTED)
@pytest.mark.parametrize("backbone", ["digits", "resnet32", "timm:resnet18", "timm:swin_tiny_patch4_window7_224"])
def test_another_backbone_is_refused_before_data_is_read(method: str, backbone: str) -> None:
    registry = load_registry(strict=False)
    dataset = registry.datasets.get("imagenet-lt").load()()
    protocol = dataset.protocols["common"].replace(backbone=backbone)
    with pytest.raises(UserError, match=f"^backbone '{backbone}' must be a vision transformer .such as timm:vit_tiny_patch16_224."
                                        ": it has no blocks of attention in one row$"):
        plan_run(method, Task("imagenet-lt", None), protocol, registry, dataset)
    plan_run(method, Task("imagenet-lt", None), protocol.replace(backbone="timm:vit_tiny_patch16_224"), registry, dataset)


def test_a_user_reads_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--dataset", "digits-lt", "--methods", "lora", "--dry-run"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("ltbench: backbone 'digits' must be a vision transformer") and "\n" not in error
