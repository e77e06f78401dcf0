"""The checks of a dataset, by name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ltbench.data.base import Dataset
from ltbench.data.inspection.check import check as inspect_parts
from ltbench.data.naming import open_dataset
from ltbench.data.parts import Parts, TensorImages
from ltbench.data.task_data import load_parts, load_task_data
from ltbench.errors import MissingData, brief
from ltbench.planning.plan import plan_run
from ltbench.registry.discovery import Registry
from ltbench.registry.specs import PROTOCOLS, DatasetSpec
from ltbench.system.settings import data_root as usual_root
from ltbench.terms.task import Task
from ltbench.testing import scene
from ltbench.testing.checks import Check
from ltbench.testing.results import Failure, Result, Skipped, attempt

_SEED = 0
_FEW = 8
_SHARED = 0.01


@dataclass
class DatasetSubject:
    """Hold one registered dataset with what its checks share."""

    registry: Registry
    spec: DatasetSpec
    dataset: Dataset
    root: Path | None

    @property
    def ratio(self) -> float | None:
        """The usual imbalance ratio."""
        return self.spec.default_ratio

    def parts(self) -> Parts:
        """Read the data, or skip the check where it is not there."""
        try:
            return load_parts(self.dataset, self.root, download=False)
        except MissingData as error:
            raise Skipped(f"the data is not here: {error}") from error


def spec(subject: DatasetSubject) -> None:
    """Compare the spec with the object: name, number of classes, ratio, channels, docstring."""
    dataset, registered = subject.dataset, subject.spec
    if dataset.name != registered.name:
        raise Failure(f"name must be {registered.name!r}, as in the spec, got {dataset.name!r}")
    if dataset.num_classes != registered.num_classes:
        raise Failure(f"class_names must be {registered.num_classes}, the spec's num_classes, got {dataset.num_classes}")
    if len(set(dataset.class_names)) != dataset.num_classes:
        raise Failure("class_names must differ from each other, got one twice")
    if (dataset.max_per_class is None) != (registered.default_ratio is None):
        raise Failure("max_per_class and the spec's default_ratio must both be given or both be None, got "
                      f"{dataset.max_per_class} and {registered.default_ratio}")
    if len(dataset.mean) != len(dataset.std) or not all(value > 0 for value in dataset.std):
        raise Failure(f"mean and std must have one number a channel and std be > 0, got {dataset.mean} and {dataset.std}")
    if not (vars(type(dataset)).get("__doc__") or "").strip():
        raise Failure(f"{type(dataset).__name__} must have a docstring of its own")


def protocols(subject: DatasetSubject) -> None:
    """Plan the base method under every protocol that a user may ask for."""
    for name in dict.fromkeys((*PROTOCOLS, *subject.spec.protocols)):
        protocol = subject.dataset.protocols.get(name)
        if protocol is None or protocol.name != name:
            raise Failure(f"protocols must say what {name!r} means, under that name, got {protocol and protocol.name}")
        subject.registry.backbone(protocol.backbone)
        task = Task(subject.dataset.name, subject.ratio, seed=_SEED, protocol=name)
        plan_run(subject.registry.base_method, task, protocol, subject.registry, subject.dataset)


def images(subject: DatasetSubject) -> None:
    """Read images of both parts: uint8, in the declared size and channels, the same whenever they are read."""
    dataset = subject.dataset
    first, again = subject.parts(), subject.parts()
    for name in ("train", "test"):
        source, other = getattr(first, name), getattr(again, name)
        if source.labels.dtype != torch.int64 or source.labels.dim() != 1:
            raise Failure(f"labels of the {name} part must be int64 of shape (N,), got {source.labels.dtype} "
                          f"{tuple(source.labels.shape)}")
        some = torch.linspace(0, len(source.labels) - 1, _FEW).long()  # the same one may stand there twice
        pixels = source.fetch(some)
        if pixels.dtype != torch.uint8 or pixels.dim() != 4 or pixels.shape[:2] != (len(some), dataset.channels):
            raise Failure(f"fetch must return uint8 of shape (B, {dataset.channels}, height, width), got {pixels.dtype} "
                          f"{tuple(pixels.shape)}")
        if dataset.resized is None and pixels.shape[2:] != (dataset.image_size, dataset.image_size):
            raise Failure(f"images must be image_size x image_size, {dataset.image_size}, got {tuple(pixels.shape[2:])}")
        if not (torch.equal(source.labels, other.labels) and torch.equal(pixels, other.fetch(some))):
            raise Failure(f"the {name} part must be the same whenever it is read, got other images or labels")


def counts(subject: DatasetSubject) -> None:
    """Count images of each class, and look for test images that are trained on."""
    parts = subject.parts()
    if isinstance(parts.train, TensorImages) and isinstance(parts.test, TensorImages):
        trained = {image.tobytes() for image in parts.train.pixels.numpy()}
        both = sum(image.tobytes() in trained for image in parts.test.pixels.numpy())
        if both > _SHARED * len(parts.test.labels):  # a few are in the files of published sets too
            raise Failure(f"no test image may be a training image, got {both:,} of {len(parts.test.labels):,}")
    report = inspect_parts(subject.dataset, subject.root, full=False, workers=1, make_progress=lambda step, images: None)
    if report.findings:
        raise Failure(report.findings[0].line + (f" ({len(report.findings)} findings)" if len(report.findings) > 1 else ""))


def split(subject: DatasetSubject) -> str:
    """Make the long-tailed split: largest class first, none empty, the same twice, another with another seed."""
    parts = subject.parts()
    task = Task(subject.dataset.name, subject.ratio, seed=_SEED)
    made, again = (load_task_data(subject.dataset, parts, task, None).split for _ in range(2))
    class_counts = [int(count) for count in made.class_counts]
    if made.hash != again.hash:
        raise Failure("a split must be the same twice, got two hashes")
    if min(class_counts) < 1:
        raise Failure(f"every class must have a training image at ratio {subject.ratio:g}, got {class_counts}")
    if subject.ratio is not None and class_counts[0] != max(class_counts):
        raise Failure(f"the first class must be the largest, got {class_counts}")
    return f"{sum(class_counts):,} training images, {max(class_counts)} to {min(class_counts)} a class"


def missing(subject: DatasetSubject) -> str:
    """Read it where no data is: one line must say what is missing and how to get it."""
    embedded = subject.spec.source == "embedded"
    told = ""
    with scene.scratch() as folder:
        for root in (None,) if embedded else (folder / "absent", folder):
            try:
                load_parts(subject.dataset, root, download=False)
            except MissingData as error:
                told = str(error).replace(str(folder), "DATA")
                if "\n" in told or not told:
                    raise Failure(f"what is said of missing data must be one line, got {told!r}") from error
            except Exception as error:
                raise Failure(f"missing data must raise ltbench.MissingData, got {brief(error)}") from error
            else:
                if not embedded:
                    raise Failure("a dataset that is not embedded must raise ltbench.MissingData, got data from an empty folder")
    return told


def trains(subject: DatasetSubject) -> None:
    """Train the base method under the smoke protocol; every loss must be finite."""
    parts, protocol = subject.parts(), subject.dataset.protocols["smoke"]
    task = Task(subject.dataset.name, subject.ratio, seed=_SEED, protocol=protocol.name)
    plan = plan_run(subject.registry.base_method, task, protocol, subject.registry, subject.dataset)
    data = load_task_data(subject.dataset, parts, task, protocol.per_class)
    with scene.scratch() as folder:  # what is not finite ends a training with an error of its own
        scene.Scene(subject.registry).runner(folder).obtain(plan.stages[0], _SEED, data, None)


CHECKS = {
    "spec": Check(spec, "make the DatasetSpec and the class say the same"),
    "protocols": Check(protocols, "give smoke, quick and common, each an ltbench.Protocol of that name with a known backbone"),
    "images": Check(images, "return ltbench.TensorImages, or a source whose fetch gives uint8; sort what a folder lists"),
    "counts": Check(counts, "every class needs images in both parts, and no image may stand in both"),
    "split": Check(split, "max_per_class must be at most the images of the largest class, and at least the ratio"),
    "missing": Check(missing, "raise ltbench.MissingData with one line that says which file is wanted, and where"),
    "trains": Check(trains, "look at mean, std and the smoke protocol"),
}


def check_dataset(name: str, *, plugins: tuple[str, ...] = (), data_root: str | None = None,
                  only: Collection[str] = tuple(CHECKS)) -> list[Result]:
    """Run every check on one dataset, without pytest.

    Args:
        data_root: The folder that data is kept in; None for LTBENCH_DATA.
    """
    registry = scene.installed(plugins)
    spec = registry.datasets.get(name).spec
    if spec.is_family:
        told = "it is a family, which has no images of its own"
        return [Result(name, check, "skipped", told) for check in CHECKS if check in only]
    dataset, _ = open_dataset(name, registry)
    subject = DatasetSubject(registry, spec, dataset, usual_root(data_root))
    return [attempt(name, check, one.mend, partial(one.run, subject)) for check, one in CHECKS.items() if check in only]
