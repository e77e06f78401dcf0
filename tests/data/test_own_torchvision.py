from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.datasets.utils import calculate_md5

from ltbench.cli.main import main
from ltbench.data.class_folders import open_folder
from ltbench.data.files import FileImages
from ltbench.data.naming import dataset_of_record, open_dataset, split_datasets
from ltbench.data.own_arrays import OwnArrays
from ltbench.data.own_torchvision import open_torchvision
from ltbench.data.parts import TensorImages
from ltbench.data.torchvision_sets import SETS
from ltbench.errors import MissingData, UserError
from ltbench.planning.request import How, Request, Terms, What
from ltbench.registry.discovery import load_registry
from ltbench.results.command import arguments_of
from tests.support.source_factory import digits, write_eurosat, write_mnist

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def eurosat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eurosat(tmp_path_factory.mktemp("eurosat"), *digits(300))


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels, labels = digits(300)
    return write_mnist(tmp_path_factory.mktemp("mnist"), "MNIST", (pixels[:240], labels[:240]), (pixels[240:], labels[240:]))


def test_a_set_without_parts_is_cut_as_its_folders_would_be(eurosat: Path) -> None:
    dataset = open_torchvision("EuroSAT", root=eurosat)
    parts, folders = dataset.load(None), open_folder(str(eurosat / "eurosat" / "2750")).load(None)
    assert (dataset.name, dataset.class_names) == ("tv:EuroSAT", tuple(f"Class{k}" for k in range(10)))
    assert not dataset.official  # the test part is nobody's
    for mine, theirs in ((parts.train, folders.train), (parts.test, folders.test)):
        assert isinstance(mine, FileImages) and isinstance(theirs, FileImages)
        assert [*mine.paths] == [*theirs.paths] and torch.equal(mine.labels, theirs.labels)
        assert next(mine.paths.names()).startswith(b"eurosat/2750/")  # no path of a machine


def test_small_images_are_held_in_memory_as_the_file_has_them(mnist: Path) -> None:
    dataset = open_torchvision("MNIST", root=mnist)
    pixels, labels = digits(300)
    parts = dataset.load(None)
    assert isinstance(parts.train, TensorImages) and isinstance(parts.test, TensorImages)
    assert np.array_equal(parts.train.pixels[:, 0].numpy(), pixels[:240]) and parts.train.labels.tolist() == labels[:240]
    assert np.array_equal(parts.test.pixels[:, 0].numpy(), pixels[240:]) and parts.test.labels.tolist() == labels[240:]
    assert (dataset.image_size, dataset.channels, dataset.official, dataset.class_names[4]) == (24, 1, True, "4 - four")
    shares = pixels[:240] / 255
    assert dataset.mean == (round(float(shares.mean()), 4),) and dataset.std == (round(float(shares.std()), 4),)
    assert dataset.max_per_class == min(np.bincount(labels[:240]))
    assert {protocol.augmentation for protocol in dataset.protocols.values()} == {("crop",)}  # a mirrored 2 is not a 2


def test_a_pixel_more_is_another_set(mnist: Path, tmp_path: Path) -> None:
    pixels, labels = digits(300)
    other = pixels.copy()
    other[5, 0, 0] += 1
    root = write_mnist(tmp_path, "MNIST", (other[:240], labels[:240]), (pixels[240:], labels[240:]))
    first, second = (open_torchvision("MNIST", root=where) for where in (mnist, root))
    assert first.images != second.images
    assert first.load(None).train.fingerprint != second.load(None).train.fingerprint  # type: ignore[attr-defined]
    assert first.images == open_torchvision("MNIST", root=mnist).images


def test_one_part_in_memory_is_cut_without_copies_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEMEION's one file, with each image twice."""
    pixels, labels = digits(100, scale=2)
    bits = np.concatenate([(pixels.reshape(100, -1) > 127), np.eye(10, dtype=bool)[labels]], axis=1).astype(float)
    np.savetxt(tmp_path / "semeion.data", np.concatenate([bits, bits]), fmt="%.1f")
    monkeypatch.setattr(torchvision.datasets.SEMEION, "md5_checksum", calculate_md5(str(tmp_path / "semeion.data")))
    dataset = open_torchvision("SEMEION", root=tmp_path)
    parts = dataset.load(None)
    assert isinstance(dataset, OwnArrays) and isinstance(parts.train, TensorImages) and isinstance(parts.test, TensorImages)
    seen, tested = ({image.tobytes() for image in part.pixels.numpy()} for part in (parts.train, parts.test))
    assert not seen & tested and len(parts.train.labels) + len(parts.test.labels) == 200
    distinct = np.array([len({pixels[row].tobytes() for row in range(100) if labels[row] == k}) for k in range(10)])
    assert (torch.bincount(parts.test.labels).numpy() // 2 <= np.maximum(distinct // 5, 1)).all()


def flowers(root: Path) -> Path:
    """Write the layout of Flowers102, with two files that torchvision knows by their md5 sums."""
    from scipy.io import savemat

    pixels, labels = digits(90)
    folder = root / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for number, image in enumerate(pixels, start=1):
        Image.fromarray(image).convert("RGB").save(folder / "jpg" / f"image_{number:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.array(labels) + 1})
    savemat(folder / "setid.mat", {"trnid": np.arange(1, 61), "valid": np.arange(61, 71), "tstid": np.arange(71, 91)})
    return root


def test_parts_of_the_authors_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    flowers(tmp_path)
    known = {kind: (name, calculate_md5(str(tmp_path / "flowers-102" / name)) if name.endswith(".mat") else md5)
             for kind, (name, md5) in torchvision.datasets.Flowers102._file_dict.items()}
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_file_dict", known)
    dataset = open_torchvision("Flowers102", root=tmp_path)
    parts = dataset.load(None)
    _, labels = digits(90)
    assert [len(part.labels) for part in (parts.train, parts.test, parts.val) if part] == [60, 20, 10]
    assert dataset.official and parts.test.labels.tolist() == labels[70:]
    assert dataset.class_names[0] == torchvision.datasets.Flowers102.classes[0]
    # An image that the authors have in both parts is told; whoever reads their set cannot mend it.
    (tmp_path / "flowers-102/jpg/image_00071.jpg").write_bytes((tmp_path / "flowers-102/jpg/image_00001.jpg").read_bytes())
    monkeypatch.setenv("LTBENCH_DATA", str(tmp_path))
    assert main(["run", "--dataset", "tv:Flowers102", "--methods", "ce", "--protocol", "smoke", "--image-size", "24",
                 "--backbone", "resnet20", "--seeds", "0", "--cpu", "--out", str(tmp_path / "runs")]) == 0
    assert ("warning: tv:Flowers102 was published with images in its test part and its training part: 1 of the 20 test images"
            in capsys.readouterr().err)
    assert main(["data", "check", "tv:Flowers102"]) == 0
    assert "note: 1 images of the published files stand in two parts" in capsys.readouterr().out


def test_private_lists_of_torchvision_are_as_we_read_them(tmp_path: Path) -> None:
    """The classes that take no loader: their files are what they open."""
    pixels, labels = digits(90)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        inside = tmp_path / "gtsrb/GTSRB" / (f"Training/{label:05d}" if number % 3 else "Final_Test/Images")
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(inside / f"{number:05d}.ppm")
        pets = tmp_path / "oxford-iiit-pet"
        (pets / "images").mkdir(parents=True, exist_ok=True)
        (pets / "annotations").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(pets / "images" / f"kind{label}_{number}.jpg")
        with (pets / "annotations" / ("trainval.txt" if number % 3 else "test.txt")).open("a") as listed:
            listed.write(f"kind{label}_{number} {label + 1} 1 1\n")
    with (tmp_path / "gtsrb/GT-final_test.csv").open("w") as listed:
        listed.write("Filename;ClassId\n" + "".join(f"{n:05d}.ppm;{label}\n" for n, label in enumerate(labels) if n % 3 == 0))
    for k in range(10):
        for outer, name in ((f"caltech101/101_ObjectCategories/kind{k}", "image_{:04d}.jpg"),
                            (f"caltech256/256_ObjectCategories/{k + 1:03d}.kind", f"{k + 1:03d}_" + "{:04d}.jpg")):
            (tmp_path / outer).mkdir(parents=True)
            for number, row in enumerate([row for row in range(90) if labels[row] == k], start=1):
                Image.fromarray(pixels[row]).save(tmp_path / outer / name.format(number), quality=95)
    (tmp_path / "caltech101/101_ObjectCategories/BACKGROUND_Google").mkdir()
    (tmp_path / "caltech256/256_ObjectCategories/257.clutter").mkdir()
    for name, first in (("GTSRB", {"split": "train"}), ("OxfordIIITPet", {"split": "trainval"}), ("Caltech101", {}),
                        ("Caltech256", {})):
        dataset = open_torchvision(name, root=tmp_path)
        parts = dataset.load(None)
        theirs: Any = getattr(torchvision.datasets, name)(root=str(tmp_path), **first)
        wanted = sorted((np.asarray(image.convert("RGB")).tobytes(), label)
                        for image, label in (theirs[i] for i in range(len(theirs))))
        sources = [parts.train] if first else [parts.train, parts.test]
        found = sorted((np.asarray(Image.open(path).convert("RGB")).tobytes(), label)
                       for part in sources if isinstance(part, FileImages)
                       for path, label in zip(part.paths, part.labels.tolist(), strict=True))
        assert found == wanted and dataset.num_classes == 10


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_set_takes_what_it_is_asked_with(name: str, tmp_path: Path) -> None:
    """Where nothing lies, one line says so; an argument that a class does not take would be another error."""
    if name == "PCAM":
        pytest.importorskip("h5py")
    with pytest.raises(MissingData, match=rf"^tv:{name} is not in '{tmp_path}', or not whole: (add --download|get it by hand), "
                                          "or say where it is with --data-root or LTBENCH_DATA$"):
        open_torchvision(name, root=tmp_path)
    asked = SETS[name]
    signature = inspect.signature(getattr(torchvision.datasets, name))
    takes_more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    for part in (asked.train, asked.test or {}, asked.val or {}, asked.defaults):
        assert takes_more or part.keys() <= signature.parameters.keys()


@pytest.mark.parametrize(("typed", "message"), [
    ("", "tv: must be followed by the name of a class of torchvision.datasets, got nothing"),
    ("Food102", "unknown classification set of torchvision 'Food102'; did you mean 'Food101'\\? Known: .*"),
    ("CocoDetection", "unknown classification set of torchvision 'CocoDetection'; .*"),
    ("DTD(part=2)", "unknown option of tv:DTD 'part'; did you mean 'partition'\\? Known: partition"),
    ("DTD(partition=11,partition=2)", "options must be written as NAME\\(key=value,key=value\\), each once, got .*"),
    ("Food101(split=test)", "unknown option of tv:Food101 'split'; Known: none"),
    ("EMNIST(split=all)", "tv:EMNIST cannot be read: Unknown value 'all' for argument split.*"),
    ("StanfordCars", "tv:StanfordCars is not in .*"),
])
def test_refusals(typed: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{message}$") as caught:
        open_torchvision(typed, root=tmp_path)
    assert "\n" not in str(caught.value)


def test_letters_without_an_a_are_numbered_from_zero(tmp_path: Path) -> None:
    """EMNIST's letters are numbered from 1, and its list of classes begins with 'N/A'."""
    pixels, labels = digits(100)
    held = [label + 1 for label in labels]
    raw = write_mnist(tmp_path, "EMNIST", (pixels, held), (pixels[:50], held[:50]))
    for file in list((raw / "EMNIST" / "raw").iterdir()):
        part = "train" if file.name.startswith("train") else "test"
        file.rename(file.with_name(f"emnist-letters-{part}-{file.name.split('-', 1)[1]}"))
    dataset = open_torchvision("EMNIST(split=letters)", root=tmp_path)
    assert dataset.name == "tv:EMNIST(split=letters)" and dataset.class_names == tuple("abcdefghij")
    assert dataset.load(None).train.labels.tolist() == labels


def test_a_set_with_two_options_is_one_set_in_a_command() -> None:
    name = "tv:Places365(small=true,split=val)"
    words = arguments_of(Request(What(("ce",), (name,), 100.0, seeds=(0,)), Terms("quick"), How()))
    assert split_datasets(words[words.index("--dataset") + 1]) == [f"{name}@100"]


def test_every_door_leads_to_it(mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                monkeypatch: pytest.MonkeyPatch) -> None:
    """From a plan to a record that is checked and made again by its name alone."""
    root, registry = ["--data-root", str(mnist)], load_registry(strict=False)
    assert main(["run", "--dataset", "tv:MNIST@5", *root, "--methods", "ce", "--protocol", "smoke", "--dry-run"]) == 0
    run = ["run", "--dataset", "tv:MNIST@5", *root, "--methods", "ce", "--protocol", "smoke", "--seeds", "0", "--cpu", "--out"]
    assert main([*run, str(tmp_path / "runs")]) == 0
    (record,) = (tmp_path / "runs").glob("tv-mnist@5*.json")
    capsys.readouterr()
    assert main(["check", str(record), *root]) == 0
    told = capsys.readouterr().out
    assert "not rebuilt" not in told and "not checked" not in told and "not recomputed" not in told
    assert main(["reproduce", str(record), *root, "--dry-run"]) == 0
    assert "--dataset tv:MNIST@5" in capsys.readouterr().out
    assert main(["reproduce", str(record), *root, "--cpu", "--out", str(tmp_path / "again")]) == 0
    assert main(["data", "get", "tv:MNIST", *root]) == 0
    assert "tv:MNIST is here (train 240, test 60 images)" in capsys.readouterr().out
    monkeypatch.setenv("LTBENCH_DATA", str(mnist))
    assert open_dataset("tv:MNIST@5", registry)[1] == 5 and dataset_of_record("tv:MNIST", registry).num_classes == 10
    assert main(["run", "--dataset", "tv:MNIST", "--image-size", "32", "--dry-run"]) == 2
    assert "--image-size must be left out for 'tv:MNIST'" in capsys.readouterr().err
