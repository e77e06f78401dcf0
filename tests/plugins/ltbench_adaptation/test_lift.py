from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ltbench
from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.method.factories import HeadFactory
from ltbench.testing import scene
from ltbench.testing.scene import Scene
from ltbench.training.engine import Engine
from ltbench_adaptation.adaptformer import Beside
from ltbench_adaptation.lift import Lift
from ltbench_adaptation.text_features import write_text_features
from tests.support.transformers import BLOCKS, PRETRAINED, WIDTH, facts, images, make, tiny, trained_count

PLACE = Scene(scene.installed(("tests.support.transformers",)), protocol=scene.PROTOCOL.replace(backbone=PRETRAINED))


def written(features: Tensor, projection: Tensor | None = None) -> str:
    """Write text features of the digits in an order of their own and return the method that reads them."""
    order = list(reversed(range(10)))
    write_text_features(Path("text.safetensors"), features[order], [DigitsLT.class_names[k] for k in order], projection)
    digest = hashlib.sha256(Path("text.safetensors").read_bytes()).hexdigest()[:16]
    return f"lift(text_file=text.safetensors,text_sha256={digest})"


def built(text: str) -> Engine:
    with scene.scratch() as folder:
        engine, _, _ = PLACE.build(text, folder)
        for method in engine.stack.methods:
            method.fit(engine.ctx)
    return engine.eval()


@pytest.mark.parametrize("projected", [False, True])
def test_initial_logits_are_cosines_with_the_text(projected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, projection = torch.randn(10, 12 if projected else WIDTH), torch.randn(WIDTH, 12) if projected else None
    engine = built(written(text, projection))
    output = engine.requires_grad_(False).output(images())
    towards = text if projection is None else text @ projection.T
    for image in range(3):
        for k in range(10):
            cosine = float(F.cosine_similarity(output.embedding[image], towards[k], dim=0))
            assert float(output.logits[image, k].detach()) == pytest.approx(25 * cosine, abs=1e-4)
    if projection is not None:  # what the order of classes by a projected image says is kept
        score = (output.embedding @ projection) @ text.T / towards.norm(dim=1)
        assert torch.equal(score.argsort(dim=1), output.logits.argsort(dim=1))


def test_without_a_file_the_classifier_starts_at_the_means() -> None:
    engine = built("lift")
    bank = engine.ctx.features("train")
    for k in range(10):
        mean = bank.embedding[bank.labels == k].mean(dim=0)
        torch.testing.assert_close(engine.head.classifier.weight[k].detach(), F.normalize(mean, dim=0))  # type: ignore[union-attr]


@pytest.mark.parametrize(("classes", "hidden"), [(2, 1), (10, 2), (100, 16), (365, 64)])
def test_bottlenecks_have_no_more_parameters_than_the_classifier(classes: int, hidden: int) -> None:
    method = Lift(facts(classes))
    model = tiny()
    expected = model(images())
    changed = method.build_backbone(make(model)).eval()
    assert torch.equal(changed(images()), expected)
    found = [part.bottleneck for part in model.modules() if isinstance(part, Beside)]
    assert [each.down.out_features for each in found] == [hidden] * BLOCKS
    assert BLOCKS * 2 * WIDTH * hidden <= max(classes, 4) * WIDTH
    per_block = 2 * WIDTH + (WIDTH * hidden + hidden) + (hidden * WIDTH + WIDTH) + 1  # norm, down, up, scale
    assert trained_count(changed) == BLOCKS * per_block


def test_loss_by_hand_and_that_of_another_method_in_its_place() -> None:
    counts = torch.tensor([30, 8, 1])
    method = Lift(ltbench.Facts(counts, WIDTH, 2), tau=2.0)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    for row, label in enumerate(labels):
        terms = [math.exp(float(logits[row, k])) * (float(counts[k]) / 39) ** 2 for k in range(3)]
        assert float(method.criterion(logits, labels)[row]) == pytest.approx(-math.log(terms[label] / sum(terms)), rel=1e-4)

    def trained(text: str) -> dict[str, Tensor]:
        with scene.scratch() as folder:
            return {name: value for name, value in PLACE.train(text, folder).engine.state_dict().items() if "methods" not in name}

    own, same, other = trained("lift"), trained("lift+la"), trained("lift+focal")
    assert all(torch.equal(own[name], value) for name, value in same.items())
    assert not torch.equal(own["head.classifier.weight"], other["head.classifier.weight"])
    with pytest.raises(UserError, match="'lift' and 'ldam' cannot stand in one stack: both own 'make_classifier'"):
        trained("lift+ldam")
    with pytest.raises(UserError, match="cannot stand in one stack: both own 'criterion'"):
        trained("lift+la+focal")


def test_it_is_a_cosine_head_of_the_scale() -> None:
    method = Lift(facts(), scale=7.0)
    classifier = HeadFactory(method.make_classifier, WIDTH, 10).classifier()
    assert isinstance(classifier, ltbench.CosineClassifier) and classifier.scale == 7.0
