"""The conformance kit for datasets and metrics must find what is wrong."""

from __future__ import annotations

import pytest

from ltbench.testing import DatasetConformance, MetricConformance, check_dataset, check_metric
from ltbench.testing.dataset_kit import CHECKS as OF_DATASETS
from ltbench.testing.metric_kit import CHECKS as OF_METRICS

PLANTED = ("tests.support.planted_offers",)
DATASETS = {
    "planted-misnamed": {"spec": "name must be 'planted-misnamed', as in the spec, got 'digits-lt'"},
    "planted-unprotocolled": {"protocols": "protocols must say what 'quick' means, under that name, got None"},
    "planted-cropped": {"images": "images must be image_size x image_size, 8, got (7, 7)"},
    "planted-leaking": {"counts": "no test image may be a training image, got 1,297 of 1,297"},
    "planted-greedy": {"split": "1000", "trains": "1000"},
    "planted-abrupt": {"missing": "missing data must raise ltbench.MissingData, got UserError: planted-abrupt cannot be read"},
    "planted-bright": {"trains": "Diverged: the loss is nan"},
}
METRICS = {
    "planted_raising": {"missing": "KeyError: 'head.classifier.weight' (planted_offers.py, line 83)"},
    "planted_endless": {"empty_class": "'smallest' of ce with 1 empty classes must be finite or left out, got inf"},
    "planted_writing": {"numbers": "what ce keeps must stay as it is, got a changed class_means"},
    "planted_silent": {"spec": "tests.support.planted_offers:silent must have a docstring",
                       "numbers": "a metric must have a figure for some run, got none for a first and none for a later stage"},
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_planted_dataset_fails_its_check_and_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTBENCH_DATA", raising=False)
    only = [check for check in OF_DATASETS if name != "planted-abrupt" or check in ("spec", "missing")]
    found = {result.check: result for result in check_dataset(name, plugins=PLANTED, only=only)}
    assert {check: result.message for check, result in found.items() if not result.ok}.keys() == DATASETS[name].keys()
    for check, words in DATASETS[name].items():
        assert words in found[check].message and found[check].mend == OF_DATASETS[check].mend


@pytest.mark.parametrize("name", METRICS)
def test_a_planted_metric_fails_its_check_and_no_other(name: str) -> None:
    found = {result.check: result for result in check_metric(name, plugins=PLANTED)}
    assert {check: result.message for check, result in found.items() if not result.ok} == METRICS[name]
    assert {result.mend for result in found.values() if not result.ok} == {OF_METRICS[check].mend for check in METRICS[name]}


def test_a_family_is_left_alone() -> None:
    assert {(result.state, result.message) for result in check_dataset("folder:")} == {
        ("skipped", "it is a family, which has no images of its own")}


def test_the_classes_of_tests_fail_with_the_remedy() -> None:
    class Dataset(DatasetConformance):
        dataset = "planted-misnamed"
        plugins = PLANTED

    class Metric(MetricConformance):
        metric = "planted_silent"
        plugins = PLANTED

    with pytest.raises(AssertionError, match="how to mend it: make the DatasetSpec"):
        Dataset().test_conforms()
    with pytest.raises(AssertionError, match="how to mend it: let the MetricSpec point"):
        Metric().test_conforms()
