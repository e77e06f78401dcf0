from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ltbench.data.base import Dataset
from ltbench.data.digits import DigitsLT
from ltbench.data.imagenet_lt import ImageNetLT
from ltbench.data.naming import class_names, dataset_of_record, open_dataset, split_datasets
from ltbench.data.published import Published
from ltbench.data.task_data import load_parts, load_task_data
from ltbench.errors import UserError
from ltbench.registry import specs
from ltbench.registry.discovery import PluginInfo, Registry, load_registry
from ltbench.registry.hookspecs import hookimpl
from ltbench.terms.task import Task
from tests.support.own_images import write_classes


class Echo(DigitsLT):
    """Be named by what is asked for."""

    def __init__(self, member: str) -> None:
        self.name = f"echo:{member}"


class Told(DigitsLT):
    """Be named by what is asked for, the folder of the data and whether it may fetch what is missing."""

    def __init__(self, member: str, *, root: Path | None, download: bool = False) -> None:
        self.name = f"told:{member} of {root}, {download}"


class Stranger:
    """A third party's plugin with families, by the ordinary hook."""

    @hookimpl
    def ltbench_datasets(self) -> list[specs.DatasetSpec]:
        return [specs.DatasetSpec("echo:", f"{__name__}:Echo", "says what it was told", None, endings=(".echo",)),
                specs.DatasetSpec("told:", f"{__name__}:Told", "says what else it was told", None, source="download")]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = load_registry()
    registry.add(Stranger(), PluginInfo("stranger", "stranger", "1"))
    load: Callable[[str], object] = specs.load_target
    ours = {f"{__name__}:Echo": Echo, f"{__name__}:Told": Told}
    monkeypatch.setattr("ltbench.registry.catalog.load_target", lambda target: ours.get(target) or load(target))
    return registry


@pytest.mark.parametrize(("text", "member", "ratio"), [
    ("echo:/a/b", "/a/b", None),
    ("echo:/a/b@50", "/a/b", 50.0),
    ("echo:/a@b/c", "/a@b/c", None),
    ("echo:/a@b/c@1.5", "/a@b/c", 1.5),
    ("echo:/a:b", "/a:b", None),
    ("echo:/x@2/", "/x@2/", None),  # a slash keeps a folder's own number
    ("echo:/x@inf", "/x@inf", None),
    ("echo:@3", "", 3.0),
])
def test_a_family_is_handed_what_follows_its_colon(registry: Registry, text: str, member: str, ratio: float | None) -> None:
    dataset, asked = open_dataset(text, registry)
    assert (dataset.name, asked) == (f"echo:{member}", ratio)


@pytest.mark.parametrize(("text", "message"), [
    ("digits-lt@0.01", "must be >= 1, got 0.01 (factor 0.01 is ratio 100)"),
    ("digits-lt@0", "must be >= 1, got 0"),
    ("digits-lt@ten", "must be a number, got 'ten'"),
    ("digits-lt@nan", "must be >= 1, got nan"),
    ("digits-lt@inf", "must be >= 1, got inf"),
    ("digits-lt@", "must be a number, got ''"),
    ("echo:x@0.5", "must be >= 1, got 0.5 (factor 0.5 is ratio 2)"),
    ("inat18@10", "dataset 'inat18' is long-tailed as it is and takes no ratio, got 10"),
    ("digits", "unknown dataset 'digits'; did you mean 'digits-lt'?"),
    ("digits-lt:x", "unknown dataset 'digits-lt:'; did you mean 'digits-lt'?"),
    ("folder", "unknown dataset 'folder'; did you mean 'folder:'?"),
    ("folder:", "folder: must be followed by a path, got nothing"),
    ("list:@5", "list: must be followed by a path, got nothing"),
])
def test_what_cannot_be_is_refused_in_one_line(registry: Registry, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        open_dataset(text, registry)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_ratio_for_every_dataset(registry: Registry) -> None:
    def ratio(text: str, given: str | None) -> float | None:
        return open_dataset(text, registry, given)[1]

    assert [ratio("digits-lt", None), ratio("digits-lt", "7"), ratio("digits-lt@7", "7.0"), ratio("echo:x", "7")] == [20, 7, 7, 7]
    for text, given, message in (("digits-lt@20", "7", "--imbalance-ratio must agree with 'digits-lt@20' or be left out, got 7"),
                                 ("inat18", "7", "takes no ratio, got 7"), ("digits-lt", "0.1", "is ratio 10"),
                                 ("digits-lt", "x", "must be a number, got 'x'")):
        with pytest.raises(UserError, match=message):
            ratio(text, given)


def test_a_family_is_told_the_folder_of_the_data_if_it_asks(registry: Registry, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_dataset("told:x", registry, root=tmp_path, download=True)[0].name == f"told:x of {tmp_path}, True"
    monkeypatch.setenv("LTBENCH_DATA", "/data")
    assert open_dataset("told:x@5", registry)[0].name == "told:x of /data, False"
    assert dataset_of_record("told:x", registry).name == "told:x of /data, False"  # the same for everybody
    with pytest.raises(UserError, match="^echo:x is somebody's own images"):
        dataset_of_record("echo:x", registry)


def test_a_file_typed_alone_gets_the_hint_of_a_strangers_family(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "photos.ECHO").touch()
    with pytest.raises(UserError, match=rf"^unknown dataset '.*'; did you mean 'echo:{tmp_path}/photos.ECHO'\?"):
        open_dataset(str(tmp_path / "photos.ECHO"), registry)


@pytest.mark.parametrize(("typed", "says"), [
    ("shards", "; did you mean 'tar:shards'?"),
    ("two", "; did you mean 'tar:two'?"),  # shards in folders train and val
    ("unpacked", "; did you mean 'folder:unpacked'?"),  # beside the tar that its class folders came in
    ("./empty", "; did you mean 'folder:./empty'?"),
    ("shards/0.tar", "; did you mean 'tar:shards/0.tar'?"),
    ("shards/*.tar", "; did you mean 'tar:shards/*.tar'?"),
    ("shards/*.TAR@50", "'shards/*.TAR': no such file or folder; did you mean 'tar:shards/*.TAR'?"),
    ("shards/{0..1}.tar", "; did you mean 'tar:shards/{0..1}.tar'?"),
    ("*.tar", "; did you mean 'tar:*.tar'?"),
    ("no/{0..1}.tar", "'no/{0..1}.tar': no such file or folder; did you mean 'tar:no/{0..1}.tar'?"),
    ("shards/9.tar", "'shards/9.tar': no such file or folder; did you mean 'tar:shards/9.tar'?"),
    ("no/labels.csv", "'no/labels.csv': no such file or folder; Known: "),
    ("~/no@where/x", "'~/no@where/x': no such file or folder; Known: "),
    ("no/a:b", "'no/a:b': no such file or folder; Known: "),
    ("foldr:no/x", "'foldr:'; did you mean 'folder:'?"),
    ("nothing", "'nothing'; Known: "),
])
def test_a_path_typed_alone_gets_the_word_that_opens_it(registry: Registry, typed: str, says: str, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for file in ("shards/0.tar", "shards/1.tar", "two/train/0.tar", "two/val/0.tar", "unpacked/pets.tar",
                 "unpacked/cat/0.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        open_dataset(typed, registry)
    assert str(caught.value).startswith("unknown dataset ") and says in str(caught.value), caught.value


def test_lists_of_datasets() -> None:
    assert split_datasets("a@5, b") == ["a@5", "b"]
    assert split_datasets('a,"folder:x, y(1@5",list:z') == ["a", "folder:x, y(1@5", "list:z"]
    assert split_datasets("folder:a (1") == ["folder:a (1"]
    assert split_datasets("folder:\udcff") == ["folder:\udcff"]
    for text in ("a,,b", "a,", ""):
        with pytest.raises(UserError, match="something is missing beside ',' in"):
            split_datasets(text)
    for text in ('"a', "a\nb", '"a"b'):
        with pytest.raises(UserError, match="^--dataset must be names with commas between them"):
            split_datasets(text)


def test_only_image_files_change_their_size(registry: Registry, tmp_path: Path) -> None:
    def sizes(dataset: Dataset) -> tuple[int, int | None, int]:
        return dataset.image_size, dataset.resized, dataset.crop_padding

    large, tiny = (open_dataset(name, registry)[0] for name in ("inat18", "imagenet200"))
    assert [sizes(large.at_size(size)) for size in (224, 112, 32)] == [(224, 256, 4), (112, 128, 2), (32, 37, 1)]
    assert sizes(tiny.at_size(32)) == (32, 32, 2) and sizes(tiny) == (64, 64, 4)
    assert large.at_size(224) is large
    digits, _ = open_dataset("digits-lt", registry)
    assert digits.at_size(8) is digits
    with pytest.raises(UserError, match="^--image-size must be left out for 'digits-lt', whose images are in memory at 8 x 8 "
                                        "pixels, got 32$"):
        digits.at_size(32)


def test_a_record_does_not_say_where_somebodys_images_are() -> None:
    registry = load_registry(strict=False)
    assert dataset_of_record("digits-lt", registry).name == "digits-lt"
    with pytest.raises(UserError, match="^folder:pets is somebody's own images, and no record says where they are$"):
        dataset_of_record("folder:pets", registry)


WORDNET = ("n01440764", "n02012849", "n03126707")  # the second and the third are both called "crane"
IN_WORDS = ("tench", "crane (n02012849)", "crane (n03126707)")


def three_of_imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make imagenet-lt a set of three classes, and write its lists and folders."""
    monkeypatch.setattr(ImageNetLT, "class_names", ("class 0", "class 1", "class 2"))
    monkeypatch.setenv("LTBENCH_DATA", str(root))
    for part, wanted in (("train", 5), ("test", 2)):
        write_classes(root / "imagenet-lt" / part, dict.fromkeys(WORDNET, wanted))
        lines = (f"{part}/{name}/{i:03d}.png {k}\n" for k, name in enumerate(WORDNET) for i in range(wanted))
        (root / "imagenet-lt" / f"ImageNet_LT_{part}.txt").write_text("".join(lines), encoding="utf-8")


def test_class_names_are_those_of_the_folders_where_the_images_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTBENCH_DATA", str(tmp_path / "nowhere"))
    assert class_names("imagenet-lt")[:2] == ("class 0", "class 1")
    three_of_imagenet(tmp_path, monkeypatch)
    assert class_names("imagenet-lt") == IN_WORDS
    train = tmp_path / "imagenet-lt" / "train"
    assert class_names(f"folder:{train}") == IN_WORDS
    (train / "mine.txt").write_text("".join(f"{name}/{i:03d}.png {k}\n" for k, name in enumerate(reversed(WORDNET))
                                            for i in range(5)), encoding="utf-8")
    assert class_names(f"list:{train / 'mine.txt'}") == tuple(reversed(IN_WORDS))
    assert class_names("digits-lt") == DigitsLT.class_names


def test_a_method_and_a_command_are_told_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three_of_imagenet(tmp_path, monkeypatch)
    dataset = ImageNetLT()
    data = load_task_data(dataset, load_parts(dataset, tmp_path, download=False), Task("imagenet-lt", None), None)
    assert data.class_names == class_names("imagenet-lt") == IN_WORDS
    monkeypatch.setattr(ImageNetLT, "published", Published((3, 2, 1), (1, 1, 1)))
    planned = load_parts(dataset, tmp_path / "nowhere", download=False, planning=True)
    assert load_task_data(dataset, planned, Task("imagenet-lt", None), None).class_names == ("class 0", "class 1", "class 2")
