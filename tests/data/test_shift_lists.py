from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.data.files import FileImages
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.inat18 import INat18
from ltbench.data.listed import ListedDataset
from ltbench.data.lists import read_list
from ltbench.data.shift_lists import read_shifts
from ltbench.errors import UserError
from tests.support.list_factory import write_list

TEST = "val/a 1.jpg 0\nval/b.jpg 1\nval/c.jpg 2\nval/d.jpg 0\n"


def shifts(folder: Path, **lists: str) -> dict[str, list[int]]:
    (folder / "test.txt").write_text(TEST, encoding="utf-8")
    for name, content in lists.items():
        file = folder / f"{name.replace('__', '/')}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, encoding="utf-8")
    found = read_shifts("Set_{shift}.txt", (2, 5), [folder / "absent", folder], read_list(folder / "test.txt", 3), 3)
    return {name: positions.tolist() for name, positions in found.items()}


def test_positions_rise_whatever_the_order_of_the_list(tmp_path: Path) -> None:
    assert shifts(tmp_path, Set_forward5="val/d.jpg 0\n\nval/a 1.jpg 0\nval/c.jpg 2\n") == {"forward5": [0, 2, 3]}


def test_lists_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    found = shifts(tmp_path, sade_test_agnostic__Set_backward2="val/b.jpg 1\n", Set_forward2="val/c.jpg 2\n",
                   Set_forward3="val/c.jpg 2\n")
    assert found == {"forward2": [2], "backward2": [1]}  # 3 is none of the ratios


def test_no_list_is_no_shift(tmp_path: Path) -> None:
    assert shifts(tmp_path) == {}


@pytest.mark.parametrize(("content", "words"), [
    ("val/a 1.jpg 0\n\nval/e.jpg 1\n",
     r"line 3 of '.*Set_forward2.txt' must name an image of the test list with the same label, got 'val/e.jpg 1'"),
    ("val/a 1.jpg 1\n",
     r"line 1 of '.*Set_forward2.txt' must name an image of the test list with the same label, got 'val/a 1.jpg 1'"),
    ("\nval/b.jpg 1\nval/b.jpg 1\n", r"line 3 of '.*Set_forward2.txt' must name an image once, got 'val/b.jpg 1'"),
    ("val/b.jpg\n", r"line 1 of '.*Set_forward2.txt' must read 'path label', got 'val/b.jpg'"),
    ("val/b.jpg 3\n", r"line 1 of '.*Set_forward2.txt' must have a label from 0 to 2, got 3"),
    ("", r"'.*Set_forward2.txt' lists no image"),
])
def test_damaged_lists_are_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        shifts(tmp_path, Set_forward2=content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("dataset", "folder", "images"), [
    (ImageNetLT, "imagenet_lt", {2: 35_574, 5: 24_365, 10: 19_059, 25: 14_437, 50: 12_058}),
    (INat18, "inaturalist18", {2: 12_906}),  # of ratio 3, the two directions have 11,147 and 11,137
])
def test_published_lists(data_root: Path, tmp_path: Path, dataset: type[ListedDataset], folder: str,
                         images: dict[int, int]) -> None:
    """Read the real lists; the training list is made up, for it is not published with them."""
    source = data_root / "lt-lists" / folder
    if not source.is_dir():
        pytest.skip(f"LTBENCH_DATA holds no lt-lists/{folder}")
    write_list(tmp_path / folder / dataset.train_lists[0], "train/{k}/{i}.jpg", [1] * dataset().num_classes)
    for name in (dataset.test_lists[0], "sade_test_agnostic"):
        (tmp_path / folder / name).symlink_to(source / name)
    parts = dataset().load(tmp_path)
    assert len(parts.shifts) == 2 * len(dataset.shift_ratios)
    for ratio, total in images.items():
        assert len(parts.shifts[f"forward{ratio}"]) == len(parts.shifts[f"backward{ratio}"]) == total
    assert isinstance(parts.test, FileImages)
    name = f"backward{dataset.shift_ratios[-1]}"
    assert dataset.shift_lists is not None
    lines = (source / "sade_test_agnostic" / dataset.shift_lists.format(shift=name)).read_text(encoding="utf-8").splitlines()
    back = [f"{Path(parts.test.paths[i]).relative_to(tmp_path / folder)} {int(parts.test.labels[i])}" for i in parts.shifts[name]]
    assert sorted(back) == sorted(lines)
