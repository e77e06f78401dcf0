from __future__ import annotations

import pytest

from ltbench.data.hub_columns import classes_of, groups_of, labels_of
from ltbench.errors import UserError

datasets = pytest.importorskip("datasets")


def test_groups_are_numbered_over_all_splits(capsys: pytest.CaptureFixture[str]) -> None:
    train = datasets.Dataset.from_dict({"patient": ["b", None, "c", "b", ""]})
    test = datasets.Dataset.from_dict({"patient": ["a", None, "c"]})
    with pytest.raises(UserError, match="^images of one group must be in one part, got 'c' in train and test$"):
        groups_of("hf:x", {"train": train, "test": test}, "patient", official=False)
    groups = groups_of("hf:o/x", {"train": train, "test": test}, "patient", official=True)
    assert capsys.readouterr().err == ("warning: images of one group must be in one part, got 'c' in train and test: hf:o/x is "
                                       "used as its authors made it\n")
    numbers = [*groups["train"].tolist(), *groups["test"].tolist()]
    assert len(set(numbers)) == 6  # a, b, c, and three that are alone
    assert numbers[0] == numbers[3] and numbers[2] == numbers[7]


def test_numbers_of_groups_are_compared_as_such() -> None:
    train, test = (datasets.Dataset.from_dict({"patient": values}) for values in ([1.0, None], [1, 2]))
    with pytest.raises(UserError, match="^images of one group must be in one part, got '1' in train and test$"):
        groups_of("hf:x", {"train": train, "test": test}, "patient", official=False)


@pytest.mark.parametrize("value", [["a"], b"a", {"a": 1}])
def test_a_group_is_text_or_a_number(value: object) -> None:
    rows = datasets.Dataset.from_dict({"patient": [value]})
    with pytest.raises(UserError, match="^row 0 of the train part of hf:x must have text or a number in 'patient', got .*a.*$"):
        groups_of("hf:x", {"train": rows}, "patient", official=False)


def test_spaces_around_a_class_are_no_part_of_it() -> None:
    rows = datasets.Dataset.from_dict({"label": [" cat", "cat ", "dog"]})
    assert labels_of("hf:x", "train", rows, "label") == ["cat", "cat", "dog"]


@pytest.mark.parametrize("value", ["  ", b"cat"])
def test_what_is_no_class(value: object) -> None:
    rows = datasets.Dataset.from_dict({"label": [value]})
    with pytest.raises(UserError, match=r"^row 0 of the train part of hf:x must have a class in 'label', got .*; another column"):
        labels_of("hf:x", "train", rows, "label")


def test_names_of_a_column_that_look_alike_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert classes_of("hf:x", ["Cat", "cat", "dog"], ["cat", "Cat"]) == {"Cat": 0, "cat": 1}
    assert capsys.readouterr().err.startswith("warning: classes 'Cat' and 'cat' of hf:x differ in case, ")
