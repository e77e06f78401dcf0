"""The conformance kit must find what is wrong: each planted method fails the check that is there for it."""

from __future__ import annotations

import re
from typing import NoReturn

import pytest

from ltbench.testing import CHECKS, MethodConformance, check_many_classes, check_method, check_two_processes, patience, processes
from ltbench.testing.kit import APART, run_apart, run_check

PLANTED = ("tests.support.planted_methods",)

# Method -> the checks that must fail, with a word of their message; every other check must pass.
EXPECTED = {
    "planted_unseeded": {"deterministic": "differs", "resumes": "differs", "accumulation": "differs"},
    "planted_forgetful": {"resumes": "differs"},
    "planted_forgetful_predictor": {"save_and_load": "predicts differently"},
    "planted_one_image": {"one_image": "Diverged"},
    "planted_one_class": {"one_class": "the loss of planted_one_class on class 0 alone must be finite",
                          "accumulation": "differs"},
    "planted_local_mean": {"accumulation": "methods.planted_local_mean.mean differs between batches in one part and in two"},
    "planted_part_counter": {"accumulation": "differs between batches in one part and in two"},
    "planted_told_part_counter": {},
    "planted_mismatch": {"composes": "after_step(seen) shows 0 samples"},
    "planted_positional": {"spec": "'tau' must be keyword-only"},
    "planted_unplannable": {"paper": "its paper's setting on cifar100-lt@50 makes no run: the paper setting of "
                                     "planted_unplannable is refused: optimizer must be one of sgd, adamw, got 'magic'"},
    "planted_busybody": {"measures": "changes methods.planted_busybody.count"},
    "planted_gambler": {"measures": "draws random numbers"},
    "planted_reminiscent": {"measures": "twice gives"},
    "planted_third": {},
    "planted_unconvertible": {"refusals": "planted_unconvertible.table must be"},
}


# Method, check, message.
FOUND = [
    ("planted_doubled", "shapes", "methods.planted_doubled.prior in planted_doubled must be float32, as all of the model, got "
                                  "float64"),
    ("planted_averaged", "shapes", "the criterion's losses in planted_averaged must have shape (6,), got ()"),
    ("planted_half", "bf16", "Diverged: the loss is nan in epoch 1 of stage 1"),
    ("planted_stubborn", "partners", "ValueError: too many values to unpack (expected 1)"),
    ("planted_careless", "refusals", "size=-1000000 must be refused with a ValueError, got RuntimeError: "
                                     "small"),
    ("planted_nameless", "refusals", "the constructor's refusal of size=-1000000 must name it, got wrong"),
    ("planted_nan", "trains", "Diverged: the loss is nan in epoch 1 of stage 1"),
    ("planted_misdescribed", "spec", "the class's stages must be {1}, as in the spec, got frozenset({2})"),
    ("planted_verbose", "spec", "the spec's paper must be one line such as 'Cao et al., 2019', or empty, got 'A,\\n2020'"),
    ("planted_misquoting", "spec", "the class's reference must be 'A, 2020', as in the spec, or empty, got 'B, 2021'"),
    ("planted_deaf", "composes", "the step of planted_deaf leaves out what others of the stack do in 'criterion': use ctx.loss, "
                                 "or own 'criterion'"),
    ("planted_unmixed", "composes", "the step of planted_unmixed leaves out what others of the stack do in 'mix': use ctx.mix, "
                                    "or own 'mix'"),
]


@pytest.mark.parametrize(("method", "check", "message"), FOUND)
def test_what_a_planted_method_is_told(method: str, check: str, message: str) -> None:
    result = run_check(check, method, plugins=PLANTED)
    told = re.sub(r" \(planted_\w+\.py, line \d+\)$", "", result.message)
    assert (result.state, told, result.mend) == ("failed", message, CHECKS[check].mend)


@pytest.mark.parametrize("method", [name for name in sorted(EXPECTED) if EXPECTED[name]])
def test_a_planted_method_fails_its_check(method: str) -> None:
    for check, word in EXPECTED[method].items():
        result = run_check(check, method, plugins=PLANTED)
        assert not result.ok and word in result.message and result.mend in str(result)


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(EXPECTED))
def test_a_planted_method_fails_no_other_check(method: str) -> None:
    results = [run_check(check, method, plugins=PLANTED)
               for check in sorted(set(CHECKS) - {"bf16", "partners"} - EXPECTED[method].keys())]
    assert [str(result) for result in results if not result.ok] == []


def test_a_stage_below_that_does_not_exist_is_found() -> None:
    result = run_check("spec", "planted_rootless", plugins=PLANTED)
    assert not result.ok and "unknown method 'no_such_method'" in result.message


@pytest.mark.parametrize(("method", "message"), [
    ("planted_wide_search", "the search range of 'tau' holds -1.0, which is refused: method 'planted_wide_search': tau must "
                            "be >= 0, got -1.0"),
    ("planted_fraction_search", "the search range of 'size' holds 1.954929658551372, which is refused: "
                                "planted_fraction_search.size must be an integer, got 1.954929658551372"),
])
def test_a_search_space_that_the_constructor_does_not_take_is_found(method: str, message: str) -> None:
    result = run_check("spec", method, plugins=PLANTED)
    assert not result.ok and result.message == message


def test_what_depends_on_parts_is_told_where_the_key_holds_their_number() -> None:
    result = run_check("accumulation", "planted_told_part_counter", plugins=PLANTED)
    assert result.ok and result.message == ("planted_told_part_counter depends on the number of parts, which stands in its key")


@pytest.mark.parametrize("check", APART)
def test_a_check_that_cannot_be_made_has_its_line_all_the_same(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*arguments: object, **options: object) -> NoReturn:
        raise TimeoutError("too busy")

    monkeypatch.setitem(APART, check, busy)
    found = run_apart(check, ["ce", "la"])
    assert [(name, one.name, one.check, one.state) for name, one in found.items()] == [
        (name, name, check, "failed") for name in ("ce", "la")]
    assert found["la"].message.startswith("the check could not be made: TimeoutError: too busy")
    assert "nothing is said of the method" in found["ce"].mend


def test_processes_that_are_not_started_in_time_are_one_line_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_SECONDS", 0.0)  # they are ended before they can say a word
    found = check_two_processes(["ce", "la"])
    assert [(name, one.state, one.message) for name, one in found.items()] == [
        (name, "failed", "two processes could not be started, or not in time: no output") for name in ("ce", "la")]


@pytest.mark.slow
def test_a_method_on_which_two_processes_stand_still_is_named_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process waits for rows that the second never sends; the methods after it get a new pair."""
    monkeypatch.setattr(patience, "_IDLE", 5.0)
    found = check_two_processes(["planted_one_sided", "ce"], plugins=PLANTED)
    assert found["ce"].ok
    assert found["planted_one_sided"].message == "the two processes went on without end, or one of them hung or died"


@pytest.mark.slow
def test_two_processes_show_what_one_process_alone_keeps() -> None:
    found = check_two_processes(["planted_local_mean", "planted_one_image"], plugins=PLANTED)
    assert found["planted_one_image"].ok
    assert found["planted_local_mean"].message == ("in planted_local_mean, methods.planted_local_mean.mean differs between "
                                                   "processes 0 and 1")


@pytest.mark.slow
def test_pairs_of_many_classes_are_found() -> None:
    found = check_many_classes(["planted_endless", "planted_pairwise", "planted_averaged"], plugins=PLANTED)
    assert found["planted_endless"].message == "planted_endless takes longer than 60 seconds for a step with 8,142 classes"
    assert "MiB with 8,142 classes, must be at most 240" in found["planted_pairwise"].message
    assert found["planted_pairwise"].message.startswith("planted_pairwise takes ")
    assert found["planted_averaged"].ok


def test_partners_tell_what_was_tried_and_what_was_refused() -> None:
    result = run_check("partners", "bbn")
    assert result.message == ("trained bbn/crt, bbn+drw, bbn+nc; "
                              "refused bbn+mixup ('bbn' and 'mixup' cannot stand in one stack: both own 'mix')")


@pytest.mark.slow
def test_a_method_that_ends_a_process_leaves_those_around_it_judged() -> None:
    found = check_two_processes(["planted_forgetful", "planted_nan", "planted_one_image"], plugins=PLANTED)
    assert found["planted_forgetful"].ok and found["planted_one_image"].ok
    assert "the loss is nan" in found["planted_nan"].message


@pytest.mark.slow
def test_every_check_of_a_method_without_pytest() -> None:
    results = check_method("ce", processes=False)
    assert [result.check for result in results] == list(CHECKS) and all(result.ok for result in results)


def test_the_class_of_tests_runs_every_check() -> None:
    tests = [name for name in dir(MethodConformance) if name.startswith("test_")]
    assert len(tests) == len(CHECKS) + len(APART)

    class Planted(MethodConformance):
        method = "planted_forgetful"
        plugins = PLANTED

    failed = set()
    for name in tests:
        if name not in ("test_two_processes_agree", "test_bears_many_classes"):
            try:
                getattr(Planted(), name)()
            except AssertionError as error:
                failed.add(name)
                assert "how to mend it" in str(error)
    assert failed == {"test_resumes_where_it_was_interrupted"}
