"""Settings in the paper track, where a method's paper says what they are: plans stand for runs of 200 epochs."""

from __future__ import annotations

from typing import Any

import pytest

from ltbench.data.cifar import Cifar10LT
from ltbench.data.own import PROTOCOLS
from ltbench.registry.discovery import load_registry
from ltbench.registry.sources import source_hashes
from ltbench.results.schema import Record
from ltbench.trust.terms import check_terms
from tests.support import record_factory
from tests.support.planned_records import plan_of, recorded

REGISTRY = load_registry(strict=False)
COMMAND = "ltbench run --track paper --methods prototype --dataset cifar100-lt --seeds 0"


def _record() -> dict[str, Any]:
    record = recorded(plan_of(COMMAND)).as_dict()
    for stage in record["stages"]:
        for method in stage["methods"]:
            method["sources"] = source_hashes(REGISTRY.methods.get(method["name"]).load())
    return record


def _lines(record: dict[str, Any]) -> list[str]:
    remarks = check_terms(Record.model_validate(record), REGISTRY, None)
    return [f"{remark.level} {remark.field}: {remark.message}" for remark in remarks]


def test_a_papers_own_settings_pass() -> None:
    assert _lines(_record()) == []


@pytest.mark.parametrize(("place", "field", "value"), [
    ("protocol", "lr", 0.5), ("protocol", "weight_decay", 0.0), ("stages[1].protocol", "stage2_lr", 9.0),
])
def test_other_settings_than_the_papers_are_refused(place: str, field: str, value: float) -> None:
    record = _record()
    part = record["protocol"] if place == "protocol" else record["stages"][1]["protocol"]
    before, part[field] = part[field], value
    assert f"error {place}.{field}: must be {before!r} as its command plans it, got {value!r}" in _lines(record)


def test_a_backbone_that_the_paper_prints_no_row_for_is_refused() -> None:
    record = _record()
    record["protocol"]["backbone"] = "resnet20"
    (line,) = _lines(record)
    assert line.startswith("error expression: cannot be planned again: backbone of ") and line.endswith("got resnet20")


def test_changed_sources_make_it_a_warning() -> None:
    record = _record()
    record["protocol"]["lr"] = 0.5
    record["stages"][0]["methods"][0]["sources"] = {}
    lines = _lines(record)
    assert any(line.startswith("warning protocol.lr: ") for line in lines)
    assert not any(line.startswith("error") for line in lines)


def _own(dataset: str = "folder:photos", **changes: Any) -> dict[str, Any]:
    """A record of somebody's own images, which no check can open."""
    protocol = {**PROTOCOLS["quick"].as_dict(), **changes}
    stage = {**record_factory.record()["stages"][0], "protocol": protocol}
    return record_factory.record(task__dataset=dataset, protocol=protocol, stages=[stage], split__images="ab" * 32)


def test_a_named_protocol_is_demanded_of_own_images_too() -> None:
    note = "note task.dataset: settings not checked: folder:photos is somebody's own images, and no record says where they are"
    assert _lines(_own()) == _lines(_own(eval_noise=0.5)) == [note]
    assert _lines(_own(epochs=90, lr=0.5)) == [
        "error protocol.epochs: must be 16 as the quick protocol of folder:photos has it, got 90",
        "error protocol.lr: must be 0.05 as the quick protocol of folder:photos has it, got 0.5", note]
    assert _lines(_own(name="best"))[0] == (
        "error protocol.name: must be one of smoke, quick, common, tuned, custom, paper for folder:photos, got 'best'")
    assert _lines(_own("elsewhere:photos", name="best"))[0].startswith("note task.dataset: ")  # a family that nobody here knows


def test_arrays_of_torchvision_have_the_protocols_of_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTBENCH_DATA", raising=False)
    record = _own("tv:MNIST", **{**Cifar10LT.protocols["quick"].as_dict(), "augmentation": ["crop"]})
    assert [line for line in _lines(record) if line.startswith("error")] == []
    record["protocol"]["epochs"] = 17
    assert _lines(record)[0] == "error protocol.epochs: must be 16 as the quick protocol of tv:MNIST has it, got 17"


def test_a_stage_has_the_settings_of_its_run() -> None:
    record = _own()
    record["stages"][0]["protocol"] = {**record["protocol"], "epochs": 160, "weight_decay": 0.5}
    record["stages"][0]["protocol_overrides"] = {"weight_decay": 0.5}
    assert _lines(record)[1:] == ["error stages[0].protocol.epochs: must be 16 as the run has it, got 160"]


def test_a_methods_code_that_breaks_on_a_strangers_values_is_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ltbench.trust.terms.replan", crash)
    assert _lines(_record()) == ["error expression: cannot be planned again: ZeroDivisionError"]
