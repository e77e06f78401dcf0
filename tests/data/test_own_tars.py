from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ltbench.cli.main import main
from ltbench.data.class_folders import open_folder
from ltbench.data.encoded import EncodedImages
from ltbench.data.inat18 import INat18
from ltbench.data.own import OwnImages
from ltbench.data.own_tars import open_tar
from ltbench.data.packing import write_pack
from ltbench.data.parts import Parts
from ltbench.data.tar_images import TarImages
from tests.support.list_factory import write_jpegs
from tests.support.own_images import write_classes, write_digits
from tests.support.tar_factory import samples, write_tar

FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def names(part: object) -> list[str]:
    assert isinstance(part, TarImages)
    return [os.path.relpath(path, part.paths.folder) for path in part.paths]


def contents(part: object) -> list[tuple[bytes, int]]:
    assert isinstance(part, TarImages)
    return [(part.read(row).tobytes(), label) for row, label in enumerate(part.labels.tolist())]


def everything(parts: Parts) -> dict[str, torch.Tensor]:
    """Return all images of both parts by their files' names."""
    found = {}
    for part in (parts.train, parts.test):
        assert isinstance(part, EncodedImages)
        found |= {Path(path).name: part.fetch(torch.tensor([row])) for row, path in enumerate(part.paths)}
    return found


def counts(dataset: OwnImages) -> list[list[int] | None]:
    parts = dataset.load(None)
    return [None if part is None else torch.bincount(part.labels).tolist() for part in (parts.train, parts.test, parts.val)]


def test_shards_of_webdataset_are_a_set(tmp_path: Path) -> None:
    write_tar(tmp_path / "pets" / "train-000.tar", samples([0, 1, 0]))
    write_tar(tmp_path / "pets" / "train-001.tar", samples([1, 0], start=3))
    write_tar(tmp_path / "pets" / "test-000.tar", samples([1, 0]))
    dataset = open_tar(str(tmp_path / "pets"))
    assert (dataset.name, dataset.class_names, dataset.max_per_class) == ("tar:pets", ("0", "1"), 2)
    parts = dataset.load(None)
    assert contents(parts.train) == [(f"image {row}".encode(), label) for row, label in enumerate([0, 1, 0, 1, 0])]
    assert contents(parts.test) == [(b"image 0", 1), (b"image 1", 0)]
    assert names(parts.train)[2:4] == ["train-000.tar/00002.png", "train-001.tar/00003.png"]


@pytest.mark.parametrize(("pattern", "expected"), [
    ("", ("tar:pets", [[3, 3], [1, 1], [1, 1]])),
    ("*.tar", ("tar:pets", [[3, 3], [1, 1], [1, 1]])),
    ("{train-{000..001},val-0}.tar", ("tar:pets", [[3, 3], [1, 1], None])),
    ("train-{000..001}.tar", ("tar:pets", [[2, 2], [1, 1], None])),  # nothing to test on but a fifth
    ("train-00[0].tar", ("tar:pets", [[1, 1], [1, 1], None])),
    ("train-000.tar", ("tar:train-000", [[1, 1], [1, 1], None])),
    ("{val-0,test-0}.tar", ("tar:pets", [[1, 1], [1, 1], None])),  # none says train: what they say is a name
])
def test_patterns_and_parts(tmp_path: Path, pattern: str, expected: tuple[str, object]) -> None:
    root = tmp_path / "pets"
    write_tar(root / "train-000.tar", samples([0, 1, 0, 1]))
    write_tar(root / "train-001.tar", samples([0, 1], start=4))
    write_tar(root / "test-0.tar", samples([0, 1], start=6))
    write_tar(root / "val-0.tar", samples([1, 0], start=8))
    write_tar(root / "._train-000.tar", [("nothing", b"of a Mac")])
    dataset = open_tar(f"{root}/{pattern}")
    assert (dataset.name, counts(dataset)) == expected


def test_a_tar_to_test_on_that_is_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train-0", "val-0", "test-0"):
        write_tar(tmp_path / f"{name}.tar", samples([0, 1, 0, 1], start=ord(name[0])))
    for pattern, told in (("train-0.tar", "'test-0.tar' beside 'train-0.tar' is not read, for tar: was given others: a fifth of "
                                          "each class is set apart"),
                          ("{train,val}-0.tar", "'test-0.tar' beside 'train-0.tar' is not read, for tar: was given others: the "
                                                "validation part is tested on")):
        open_tar(f"{tmp_path}/{pattern}")
        assert capsys.readouterr().err == f"warning: {told}\n"
    open_tar(f"{tmp_path}/{{train,test}}-0.tar")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("where", ["on the disk", "in the tar", "in the name"])
def test_folders_may_tell_the_parts(tmp_path: Path, where: str) -> None:
    for part, labels in (("train", [0, 1, 1]), ("Test", [0, 1])):
        if where == "in the tar":
            write_tar(tmp_path / "pets" / f"{ord(part[0])}.tar", [(f"./x/{part}/{name}", held) for name, held in samples(labels)])
        elif where == "in the name":
            write_tar(tmp_path / "pets" / f"pets-{part}-00.tar", samples(labels))
        else:
            write_tar(tmp_path / "pets" / part / "0.tar", samples(labels))
    assert counts(open_tar(str(tmp_path / "pets"))) == [[1, 2], [1, 1], None]


@pytest.mark.parametrize(("labels", "label_as", "classes", "wanted"), [
    ([0, 1, 2, 0, 1, 2], "json", ("0", "1", "2"), [0, 1, 2, 0, 1, 2]),
    (["07", "6", 7, "06", 5, 4, 3, 2, 1, 0] * 2, "cls", tuple("01234567"), [7, 6, 7, 6, 5, 4, 3, 2, 1, 0] * 2),
    (["10.0", "2.0", *(f"{k}.0" for k in (0, 1, 3, 4, 5, 6, 7, 8, 9))], "cls", tuple(map(str, range(11))),
     [10, 2, 0, 1, *range(3, 10)]),
    (["dog", "Ant", "cat"] * 2, "cls", ("Ant", "cat", "dog"), [2, 0, 1] * 2),
    (["dog", "1", "cät\n"] * 2, "json", ("1", "cät", "dog"), [2, 0, 1] * 2),
])
def test_a_class_has_a_number_or_a_name(tmp_path: Path, labels: list[object], label_as: str, classes: tuple[str, ...],
                                        wanted: list[int]) -> None:
    labels = [label.strip() if label_as == "json" and isinstance(label, str) else label for label in labels]
    write_tar(tmp_path / "train.tar", samples(labels, label_as=label_as))
    write_tar(tmp_path / "test.tar", samples(labels, label_as=label_as))
    dataset = open_tar(str(tmp_path / "*.tar"))
    assert dataset.class_names == classes
    assert dataset.load(None).train.labels.tolist() == wanted


@pytest.mark.parametrize("form", FORMATS)
def test_a_tar_of_class_folders_is_the_folder(tmp_path: Path, digits_batch: tuple[object, object], form: str) -> None:
    root = write_digits(tmp_path / "digits", digits_batch, per_class=10)
    with tarfile.open(tmp_path / "digits.tar", "w", format=FORMATS[form]) as tar:
        for k in range(10):  # in another order within
            tar.add(root / str(k), f"./{k}")
    folder, packed = open_folder(str(root)), open_tar(str(tmp_path / "digits.tar"))
    assert (packed.name, packed.class_names) == ("tar:digits", folder.class_names)
    assert counts(packed) == counts(folder) == [[8] * 10, [2] * 10, None]
    small, plain = (everything(dataset.at_size(16).load(None)) for dataset in (packed, folder))
    assert small.keys() == plain.keys()
    assert all(torch.equal(small[name], plain[name]) for name in plain)


FLAT = [f"{name}/{row}.png" for name in ("cat", "dog") for row in range(5)]
NESTED = [f"{name}/{where}/{row}.png" for name in ("cat", "dog") for where in ("indoor", "outdoor") for row in range(5)]
UNEVEN = ["cat/0.png", "cat/1.png", "cat/day/0.png", "dog/day/late/0.png", "dog/night/0.png", "dog/dog/0.png"]
TREES = {
    "flat": FLAT, "nested": NESTED, "uneven": UNEVEN,
    "parts": [f"{part}/{name}" for part, names in (("train", NESTED), ("Test", UNEVEN), ("dev", FLAT)) for name in names],
    "Kaggle's parts": [f"{part}/{name}" for part in ("training_set", "test_set") for name in NESTED],
    "a training part alone": [f"train/{name}" for name in NESTED],
    "a validation part of one class": [*(f"{part}/{name}" for part in ("train", "test") for name in FLAT), "val/cat/day/x.png"],
    "classes that are called like parts": [name.replace("cat", "train").replace("dog", "test") for name in FLAT],
}


def write_tree(root: Path, names: list[str]) -> Path:
    """Write files that hold their names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def split(dataset: OwnImages) -> list[dict[bytes, str]]:
    """Return the names of the classes of each part's images."""
    parts = dataset.load(None)
    return [{part.read(row).tobytes(): dataset.class_names[label] for row, label in enumerate(part.labels.tolist())}
            for part in (parts.train, parts.test, parts.val) if isinstance(part, EncodedImages)]


@pytest.mark.parametrize("above", [".", "", "pets/", "./a/b/"])
@pytest.mark.parametrize("tree", TREES)
def test_a_tarred_tree_is_read_as_the_folder_is(tmp_path: Path, tree: str, above: str) -> None:
    root = write_tree(tmp_path / "x", TREES[tree])
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for inside in sorted(root.iterdir()) if above else ():
            tar.add(inside, os.path.join(above, inside.name))
        if not above:  # as "tar cf x.tar x" has it
            tar.add(root, "x")
    folder, packed = open_folder(str(root)), open_tar(str(tmp_path / "x.tar"))
    assert packed.class_names == folder.class_names
    assert split(packed) == split(folder)


@pytest.mark.parametrize("above", [("", ""), ("pets/", "pets/"), ("train/", "test/"), ("pets_train/", "pets_test/"), ("", "x/"),
                                   ("a/train/", "b/")])
@pytest.mark.parametrize("names", [FLAT, NESTED, UNEVEN])
def test_shards_that_tell_the_parts_may_each_have_folders_around_the_classes(tmp_path: Path, names: list[str],
                                                                             above: tuple[str, str]) -> None:
    for part, around in zip(("train", "test"), above, strict=True):
        for shard in range(2):
            write_tar(tmp_path / f"{part}-{shard}.tar", [(around + name, f"{part} {name}".encode()) for name in names[shard::2]])
    around = above[0].replace("train", "val")
    write_tar(tmp_path / "val-0.tar", [(f"{around}{name}/x/0.png", name.encode()) for name in ("cat", "dog")])
    dataset = open_tar(str(tmp_path))
    assert dataset.class_names == ("cat", "dog")
    assert split(dataset) == [*({f"{part} {name}".encode(): name[:3] for name in names} for part in ("train", "test")),
                              {b"cat": "cat", b"dog": "dog"}]


@pytest.mark.parametrize("above", ["", "pets/"])
def test_a_shard_of_one_class_has_no_folder_around_it(tmp_path: Path, above: str) -> None:
    for part, names in (("train", NESTED), ("test", FLAT), ("val", ["dog/indoor/0.png", "dog/outdoor/0.png"])):
        write_tar(tmp_path / f"{part}.tar", [(above + name, f"{part} {name}".encode()) for name in names])
    dataset = open_tar(str(tmp_path))
    assert dataset.class_names == ("cat", "dog") and counts(dataset) == [[10, 10], [5, 5], [0, 2]]


def test_a_class_called_train_is_none_where_shards_tell_the_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        names = [f"{name}/{when}/0.png" for name in ("train", "bus") for when in ("day", "night")]
        write_tar(tmp_path / "set" / f"{part}.tar", [(name, f"{part} {name}".encode()) for name in names])
        write_tar(tmp_path / "shards" / f"{part}_set" / "0.tar", [(name, f"{part} {name}".encode()) for name in names])
    for folder in ("set", "shards"):
        dataset = open_tar(str(tmp_path / folder))
        assert dataset.class_names == ("bus", "train") and counts(dataset) == [[2, 2], [2, 2], None]


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_long_and_foreign_names(tmp_path: Path, form: str) -> None:
    deep = "/".join(["very long folder"] * 12)
    members = [(f"{deep}/{name}/{'ß' * 60}{row}.png", f"{name}{row}".encode()) for name in ("cät", "dog") for row in range(2)]
    file = write_tar(tmp_path / "x.tar", [*members, (f"{deep}/dog/\udcff.JPG", b"raw")], FORMATS[form])
    dataset = open_tar(str(file))
    assert dataset.class_names == ("cät", "dog") and dataset.max_per_class == 1
    parts = dataset.load(None)
    held = {content for part in (parts.train, parts.test) for content, _ in contents(part)}
    assert held == {*(content for _, content in members), b"raw"}


def test_only_images_count(tmp_path: Path) -> None:
    images = [(f"{name}/{row}.png", f"{name}{row}".encode()) for name in "ab" for row in range(2)]
    more = [("a/notes.txt", b""), ("a/.hidden.png", b""), ("._a/x.png", b""), ("@eaDir/a/x.jpg", b""),
            ("a/@eaDir/0.png/T.jpg", b""), ("a/info.json", b'{"license": 1}'), ("README", b""),
            ("a/A.JPG", b""), ("a/b.v2.Jpeg", b""), ("a/b.v3.webp", b""), ("meta.json", b"[1, 2]"), ("top.pdf", b"")]
    file = write_tar(tmp_path / "x.tar", [*images, *more])
    with tarfile.open(file, "a") as tar:
        folder = tarfile.TarInfo("a/folder.png")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    assert counts(open_tar(str(file))) == [[4, 1], [1, 1], None]


def test_of_a_key_with_a_class_the_plain_ending_is_the_image(tmp_path: Path) -> None:
    mask = [(f"{row:05d}.mask.png", b"mask") for row in range(4)]
    write_tar(tmp_path / "x.tar", [*samples([0, 1, 0, 1]), *mask, ("00000.json", b'{"label": 0}'), ("00007.cls", b"5")])
    dataset = open_tar(str(tmp_path / "x.tar"))
    assert counts(dataset) == [[1, 1], [1, 1], None]
    assert all(content.startswith(b"image ") for content, _ in contents(dataset.load(None).train))


def test_a_class_of_no_image_that_is_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dot in its name, and the image belongs to nothing: the key is all up to the first dot, as WebDataset has it."""
    file = write_tar(tmp_path / "x.tar", [*samples([0, 1, 0, 1]), ("a.b.png", b"image"), ("a.b.cls", b"0"), ("c.cls", b"1")])
    assert counts(open_tar(str(file))) == [[1, 1], [1, 1], None]
    assert capsys.readouterr().err == (f"warning: 2 of the 6 classes in {str(file)!r} are of no image that is read, the first of "
                                       "key 'a': it has 'a.b.png', whose name has a dot before its ending\n")


@pytest.mark.parametrize(("other", "why"), [("test.tar.gz", "it is compressed"), ("a/train-1.tgz", "it is compressed"),
                                            ("a/b/train-1.tar", "it lies deeper than one folder below")])
def test_a_tar_of_a_folder_that_is_not_read_is_told(other: str, why: str, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train-0.tar", other):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_tar(tmp_path / name, samples([0, 1, 0, 1]))
    open_tar(str(tmp_path))
    assert capsys.readouterr().err == f"warning: {other!r} in {tmp_path.name!r} is not read, for {why}\n"


def test_a_class_may_be_told_twice_and_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    more = [("00000.cls", b"\xef\xbb\xbf0\r\n"), ("00001.json", b'\xef\xbb\xbf{"label": "1"}'), ("00002.CLS", b"00"),
            ("00003.more.json", b'{"label": 1}'), ("beside.cls", b"0"), ("beside.json", b'{"label": 7}')]  # of no image
    write_tar(tmp_path / "x.tar", [*samples([0, 1, 0, 1]), *more])
    assert open_tar(str(tmp_path / "x.tar")).class_names == ("0", "1")
    marked = [(name, b"\xef\xbb\xbf" * name.endswith("cls") + held) for name, held in samples([0, 1, 0, 1])]
    dataset = open_tar(str(write_tar(tmp_path / "y.tar", marked)))
    assert dataset.class_names == ("0", "1") and counts(dataset) == [[1, 1], [1, 1], None]


def test_one_key_in_two_shards_is_two_images(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, [(member, held + name.encode() * member.endswith("png")) for member, held in samples([0, 1])])
    assert counts(open_tar(str(tmp_path))) == [[1, 1], [1, 1], None]


def test_copies_in_two_shards_stay_together(tmp_path: Path) -> None:
    """Of each class two images of one content and one of another: either the two are tested on, or the one is."""
    write_tar(tmp_path / "a.tar", samples([0, 1]))
    write_tar(tmp_path / "b.tar", samples([0, 1]))
    write_tar(tmp_path / "c.tar", samples([0, 1], start=2))
    parts = open_tar(str(tmp_path)).load(None)
    train, test = ({held for held, _ in contents(part)} for part in (parts.train, parts.test))
    assert len(train) == len(test) == 2 and not train & test
    assert len(parts.train.labels) + len(parts.test.labels) == 6


def test_what_files_hold_tells_sets_apart_and_where_they_lie_does_not(tmp_path: Path) -> None:
    made = [write_tar(tmp_path / where / "x.tar", [(name, held + end) for name, held in samples([0, 1, 0, 1])], form)
            for where, end, form in (("1", b"", FORMATS["ustar"]), ("2", b"", FORMATS["pax"]), ("3", b"\n", FORMATS["gnu"]))]
    images = [open_tar(str(file)).images for file in made]
    assert images[0] == images[1] != images[2]


def test_an_index_beside_tells_what_the_headers_tell(tmp_path: Path, digits: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    images = digits.train.fetch(torch.arange(12))[:, 0].numpy()
    for part in ("train", "val"):
        written = write_jpegs(tmp_path / "inat18" / part, images)
        lines = "".join(f"{part}/{file} {row % 3}\n" for row, file in enumerate(written))
        (tmp_path / "inat18" / f"iNaturalist18_{part}.txt").write_text(lines, encoding="utf-8")
    monkeypatch.setattr(INat18, "class_names", ("a", "b", "c"))
    pack = tmp_path / "inat.tars"
    write_pack(pack, "inat18", INat18().load_files(tmp_path))
    indexed = open_tar(str(pack))
    assert counts(indexed) == [[4, 4, 4], [4, 4, 4], None]
    for damage in (b"", None):  # an index that cannot be used is left aside
        if damage is None:
            (pack / "index.jsonl").unlink()
        else:
            (pack / "index.jsonl").write_bytes(damage)
        scanned = open_tar(str(pack))
        assert scanned.images == indexed.images
        for ours, theirs in zip((scanned.load(None).train, scanned.load(None).test),
                                (indexed.load(None).train, indexed.load(None).test), strict=True):
            assert names(ours) == names(theirs) and contents(ours) == contents(theirs)


def test_an_index_older_than_a_shard_is_left_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The classes of two images in the middle change places, which changes neither sizes nor the first and last image."""
    for name, count in (("a", 4), ("b", 4)):
        write_classes(tmp_path / "pets" / "train", {name: count})
        write_classes(tmp_path / "pets" / "test", {name: 1})
    pack = tmp_path / "pets.tars"
    write_pack(pack, "pets", open_folder(str(tmp_path / "pets")).load(None))
    shard, index = pack / "train-000000.tar", (pack / "index.jsonl").stat().st_mtime_ns
    assert shard.stat().st_mtime_ns <= index
    before = open_tar(str(pack)).load(None).train.labels.tolist()
    with tarfile.open(shard) as tar:
        held = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    one, other = "000000002.cls", "000000005.cls"
    held[one], held[other] = held[other], held[one]
    size = shard.stat().st_size
    write_tar(shard, held.items())
    os.utime(shard, ns=(index + 1, index + 1))
    assert shard.stat().st_size == size
    assert capsys.readouterr().err == ""
    after = open_tar(str(pack)).load(None).train.labels.tolist()
    assert "older than 'train-000000.tar': every header is read" in capsys.readouterr().err
    assert (before, after) == ([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 1, 0, 1, 1])


def test_a_run_on_a_tar(tmp_path: Path, digits_batch: tuple[object, object], monkeypatch: pytest.MonkeyPatch,
                        capsys: pytest.CaptureFixture[str]) -> None:
    root = write_digits(tmp_path / "digits", digits_batch, per_class=25)
    with tarfile.open(tmp_path / "digits.tar", "w") as tar:
        tar.add(root, "digits")
    monkeypatch.setenv("LTBENCH_WORKERS", "2")
    monkeypatch.setenv("LTBENCH_CACHE", str(tmp_path / "cache"))
    arguments = ["run", "--dataset", f"tar:{tmp_path}/digits.tar@5", "--methods", "ce", "--protocol", "smoke",
                 "--image-size", "16", "--backbone", "resnet20", "--seeds", "0", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    (file,) = (tmp_path / "out").rglob("*.json")
    record = json.loads(file.read_text(encoding="utf-8"))
    assert record["status"] == "completed" and record["task"]["dataset"] == "tar:digits"
    class_counts = record["split"]["class_counts"]
    assert (class_counts[0], class_counts[-1]) == (10, 4)  # of 20, a fifth of 25 set apart; 10 by the protocol's cap
    capsys.readouterr()
    assert main([*arguments, "--dry-run"]) == 0
    assert "0 of 1 runs and 0 stages to do" in capsys.readouterr().out


def test_a_tar_is_checked_like_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_classes(tmp_path / "x", {"a": 3, "b": 2})
    (root / "b" / "000.png").write_bytes(b"\x89PNG cut")
    held = [(f"{file.parent.name}/{file.name}", file.read_bytes()) for file in sorted(root.rglob("*.png"))]
    write_tar(tmp_path / "t" / "train.tar", held)
    write_tar(tmp_path / "t" / "test.tar", [("a/1.png", held[1][1]), ("b/1.png", b"")])
    assert main(["data", "check", f"tar:{tmp_path}/t", "--full", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    found = {(problem["kind"], problem["line"].replace(str(tmp_path), "").partition(" (")[0]) for problem in report["problems"]}
    assert found == {("duplicate", "test image '/t/test.tar/a/1.png' has the content of train image '/t/train.tar/a/001.png'"),
                     ("unreadable", "train: image '/t/train.tar/b/000.png' cannot be read"),
                     ("unreadable", "test: image '/t/test.tar/b/1.png' cannot be read")}
    assert (report["parts"]["train"]["files_found"], report["parts"]["train"]["class_counts"]) == (5, [3, 2])


def test_images_of_any_size_are_read_in_any_order(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    held = [random.bytes(int(size)) for size in random.integers(0, 3000, 20)]
    file = write_tar(tmp_path / "x.tar", [(f"{'ab'[row % 2]}/{row:02d}.jpg", content) for row, content in enumerate(held)])
    parts = open_tar(str(file)).load(None)
    for part in (parts.train, parts.test):
        assert isinstance(part, TarImages)
        for row in random.permutation(len(part.paths)).tolist():
            assert part.read(row).tobytes() == held[int(Path(part.paths[row]).stem)]
            assert part.stored_bytes(row) == len(held[int(Path(part.paths[row]).stem)])
