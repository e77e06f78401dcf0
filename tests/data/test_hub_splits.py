from __future__ import annotations

import re

import pytest

from ltbench.data.hub_splits import chosen_splits
from ltbench.errors import UserError


def chosen(names: str, **options: str) -> dict[str, str]:
    return chosen_splits("hf:x", {name: name for name in names.split()}, options)


@pytest.mark.parametrize(("names", "options", "wanted"), [
    ("train test validation", {}, {"train": "train", "test": "test", "val": "validation"}),
    ("Training test_set", {}, {"train": "Training", "test": "test_set"}),
    ("train eval", {}, {"train": "train", "test": "eval"}),
    ("train validation test", {"test": "validation"}, {"train": "train", "test": "validation"}),
    ("train test eval", {"test": "eval"}, {"train": "train", "test": "eval"}),
    ("everything", {}, {"train": "everything"}),
])
def test_names_tell_what_splits_are_for(names: str, options: dict[str, str], wanted: dict[str, str],
                                        capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen(names, **options) == wanted
    assert capsys.readouterr().err == ""  # what is left alone was left alone on purpose


@pytest.mark.parametrize(("names", "told"), [
    ("train heldout", "'heldout' is not read, .*: a fifth of each class is set apart"),
    ("train validation heldout more", "'heldout', 'more' is not read, .*: 'validation' is tested on"),
    ("train test extra", "'extra' is not read, for its name is that of no part, such as 'test'"),
])
def test_splits_that_are_not_read_are_told(names: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    chosen(names)
    assert re.fullmatch(f"warning: of hf:x {told}\n", capsys.readouterr().err)


@pytest.mark.parametrize(("names", "wanted", "told"), [
    ("train eval test", {"train": "train", "test": "test"}, "'eval' is not read, for 'test' is the test part"),
    ("train dev validation", {"train": "train", "val": "validation"}, "'dev' is not read, for 'validation' is the val part"),
    ("training train trn", {"train": "train"}, "'training', 'trn' is not read, for 'train' is the train part"),
])
def test_the_plain_name_of_a_part_comes_first(names: str, wanted: dict[str, str], told: str,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen(names) == wanted
    assert re.fullmatch(rf"warning: of hf:x {told}; another is meant with hf:...\(\w+=SPLIT\)\n", capsys.readouterr().err)


@pytest.mark.parametrize(("names", "options", "message"), [
    ("train eval testing", {},
     r"hf:x must have one split of the test part, or say which: hf:...\(test=SPLIT\), got 'eval' and 'testing'"),
    ("train test val validation", {},
     r"hf:x must have one split of the val part, or say which: hf:...\(val=SPLIT\), got 'val' and 'validation'"),
    ("train test", {"test": "train"}, r"hf:x must say which split is trained on, hf:...\(train=SPLIT\), got train, test"),
    ("a b", {"train": "a", "test": "a"}, "hf:x must have a split of its own for each part, got train=a, test=a"),
    ("a", {"test": "a"}, r"hf:x must say which split is trained on, hf:...\(train=SPLIT\), got a"),
    ("a", {"test": "b"}, "hf:x must have the split 'b', got a"),
])
def test_what_cannot_be_meant_is_refused(names: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        chosen(names, **options)
