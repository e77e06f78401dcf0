from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ltbench.data.cifar import Cifar100LT
from ltbench.data.digits import DigitsLT
from ltbench.data.inspection.plot import check_plot_file, draw
from ltbench.data.inspection.statistics import spread
from ltbench.errors import UserError


def test_digits_at_their_default_ratio() -> None:
    found = spread(DigitsLT(), 20.0, None, imbalance="exp", split_seed=0)
    assert found.train.tolist() == [120, 86, 61, 44, 31, 22, 16, 11, 8, 6]
    assert (found.totals.images, found.totals.many, found.totals.medium, found.totals.few) == (405, 1, 5, 4)
    assert found.ratio == 20 and found.test.tolist() == [50] * 10
    step = spread(DigitsLT(), 20.0, None, imbalance="step", split_seed=0)
    assert step.train.tolist() == [120] * 5 + [6] * 5
    # |120 - 6| for 50 of the 100 pairs, over twice the mean of 63.
    assert step.gini == pytest.approx(0.5 * 114 / 126)


def test_cifar100_as_the_literature_has_it(cifar100_root: Path) -> None:
    found = spread(Cifar100LT(), 100.0, cifar100_root, imbalance="exp", split_seed=0)
    assert (found.totals.images, found.totals.many, found.totals.medium, found.totals.few) == (10_847, 35, 35, 30)
    assert found.split_hash == "e0d58a4d2700c46062da852554e5d185bbee74d3c612b052ea2a839bdadf939e"


def test_the_plot_names_set_ratio_and_totals() -> None:
    found = spread(DigitsLT(), 20.0, None, imbalance="exp", split_seed=0)
    text = draw(found, "svg").decode()
    for words in ("digits-lt@20: 405 images of 10 classes, 120 to 6, ratio 20", "many: 1 classes", "medium: 5 classes",
                  "few: 4 classes", "training images"):
        assert words in text
    assert draw(found, "svg").decode() == text  # no date, no random id
    assert draw(found, "png").startswith(b"\x89PNG")


def test_a_group_without_classes_is_not_drawn() -> None:
    found = spread(DigitsLT(), 1.0, None, imbalance="exp", split_seed=0)
    assert np.ptp(found.train) == 0
    assert "few" not in draw(found, "svg").decode()


def test_the_files_name_says_what_is_drawn() -> None:
    assert (check_plot_file(Path("a.PNG")), check_plot_file(Path("b/c.svg"))) == ("png", "svg")
    with pytest.raises(UserError, match=r"^--plot must name a file that ends with .png or .svg, got 'a.pdf'$"):
        check_plot_file(Path("a.pdf"))
