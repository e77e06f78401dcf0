"""Augmentations of plugins: what a plan says of them before there is any data, and how they enter keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import ltbench
from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.method.from_file import add_file
from ltbench.planning.augmentations import make_view
from ltbench.planning.plan import plan_run
from ltbench.registry.discovery import PluginInfo, Registry
from tests.support.toys import toy_registry

PROTOCOL = DigitsLT.protocols["smoke"]


class Shift(ltbench.Augmentation):
    """Add a number to every pixel."""

    draws = 1

    def __init__(self, facts: ltbench.ImageFacts, *, by: int = 1) -> None:
        super().__init__(facts)
        self.by = by

    def __call__(self, images: Tensor, drawn: object) -> Tensor:
        return images + self.by


class Halved(Shift):
    """Return an image of another size."""

    def __call__(self, images: Tensor, drawn: object) -> Tensor:
        return images[..., ::2]


class TwoViews(ltbench.Method):
    """Declare the views that an option names."""

    name = "two_views"
    stages = frozenset({1})

    def __init__(self, facts: ltbench.Facts, *, second: str = "flip") -> None:
        super().__init__(facts)
        self.second = second

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        return (ctx.protocol.augmentation, tuple(self.second.split()))


class TooEarly(TwoViews):
    """Ask for what is known later."""

    name = "too_early"

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        return () if ctx.class_counts is None else (("flip",),)


class NoView(TwoViews):
    """Declare none."""

    name = "no_view"

    def views(self, ctx: ltbench.Context) -> tuple[tuple[str, ...], ...]:
        return ()


class Plugin:
    @ltbench.hookimpl
    def ltbench_methods(self) -> list[ltbench.MethodSpec]:
        return [ltbench.MethodSpec(kind.name, f"{__name__}:{kind.__name__}", "views", kind.stages)
                for kind in (TwoViews, TooEarly, NoView)]

    @ltbench.hookimpl
    def ltbench_augmentations(self) -> list[ltbench.AugmentationSpec]:
        return [ltbench.AugmentationSpec("shift", f"{__name__}:Shift", "brighter"),
                ltbench.AugmentationSpec("halved", f"{__name__}:Halved", "smaller"),
                ltbench.AugmentationSpec("nobody", f"{__name__}:Nobody", "not there"),
                ltbench.AugmentationSpec("no_class", f"{__name__}:PROTOCOL", "another thing"),
                ltbench.AugmentationSpec("shifted", summary="both", parts=("flip", "shift(by=3)")),
                ltbench.AugmentationSpec("endless", summary="itself", parts=("flip", "endless"))]


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = toy_registry()
    found.add(Plugin(), PluginInfo("views", "view-box", "1"))
    return found


def key(text: str, registry: Registry, names: tuple[str, ...] = ("crop",)) -> str:
    protocol = PROTOCOL.replace(augmentation=names)
    return plan_run(text, ltbench.Task("digits-lt", 20.0, protocol="smoke"), protocol, registry, DigitsLT()).stages[0].key


def test_a_plugins_augmentation_is_used_like_any_other(registry: Registry) -> None:
    images = torch.full((2, 1, 8, 8), 10, dtype=torch.uint8)
    plain = make_view((), DigitsLT(), registry)(images, [0, 1], 0, 0)
    for name, amount in (("shift", 1), ("shift(by=4)", 4), ("shifted", 3), ("torchvision:RandomHorizontalFlip(p=1)", 0)):
        changed = make_view((name,), DigitsLT(), registry)(images, [0, 1], 0, 0)
        torch.testing.assert_close(changed - plain, torch.full_like(plain, amount / 255 / DigitsLT.std[0]))


def test_options_make_no_difference_to_random_numbers(registry: Registry) -> None:
    first, second = (make_view((name,), DigitsLT(), registry).draw([0, 1, 2], 0, 0) for name in ("shift", "shift(by=4)"))
    assert first["shift"].tolist() == second["shift"].tolist()


@pytest.mark.parametrize(("names", "words"), [
    (("cropp",), "unknown augmentation 'cropp'; did you mean 'crop'?"),
    (("shift(by=x)",), "shift.by must be an integer, got 'x'"),
    (("halved",), "the view halved cannot change an image of digits-lt: ValueError: augmentation 'halved' must return "
                  "torch.uint8 of shape (1, 1, 8, 8), got torch.uint8 (1, 1, 8, 4)"),
    (("nobody",), "'nobody' of view-box cannot be imported: ImportError: module "),
    (("no_class",), "PROTOCOL of view-box is no ltbench.Augmentation"),
    (("endless",), "augmentation 'endless' is a sequence: it holds itself"),
    (("torchvision:RandomCrop(size=4)",), "the view torchvision:RandomCrop(size=4) cannot change an image of digits-lt: "),
    (("torchvision:MixUp(num_classes=10)",), "the view torchvision:MixUp(num_classes=10) cannot change an image of digits-lt: "),
    (("torchvision:RandomCrop",), "augmentation 'torchvision:RandomCrop': "),
    (("cutout", "flip"), "'cutout' must be the last augmentation, got cutout, flip"),
])
def test_a_plan_refuses_in_one_line(names: tuple[str, ...], words: str, registry: Registry) -> None:
    with pytest.raises(UserError) as refused:
        key("base", registry, names)
    assert words in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(UserError):  # and where a method declares it, before its stage is trained
        key(f"two_views(second={' '.join(names)})", registry)


@pytest.mark.parametrize(("method", "words"), [
    ("too_early", "views of 'too_early' may read ctx.protocol, ctx.facts and ctx.stage alone"),
    ("no_view", "views of 'no_view' must be tuples of names, one a view, got ()")])
def test_what_declares_views_is_asked_while_planning(method: str, words: str, registry: Registry) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(").replace(")", r"\)")):
        key(method, registry)


FILE = """
import ltbench


class Nothing(ltbench.Augmentation):
    def __call__(self, images, drawn):
        return images


@ltbench.hookimpl
def ltbench_augmentations():
    return [ltbench.AugmentationSpec("nothing", "{name}:Nothing", "as it is")]
"""


def test_an_edited_augmentation_trains_anew(tmp_path: Path) -> None:
    keys = []
    for name, change in (("aug_one", ""), ("aug_two", "# edited\n")):
        path = tmp_path / f"{name}.py"
        path.write_text(FILE.replace("{name}", name) + change)
        registry = toy_registry()
        registry.add(Plugin(), PluginInfo("views", "view-box", "1"))
        add_file(registry, path)
        keys.append([key("base", registry), key("base", registry, ("nothing",)), key("two_views(second=nothing)", registry),
                     make_view(("nothing",), DigitsLT(), registry).label])
    assert keys[0][0] == keys[1][0]  # which uses it in no view
    assert all(first != second for first, second in zip(keys[0][1:], keys[1][1:], strict=True))


def test_labels_name_files(registry: Registry) -> None:
    def label(*names: str) -> str:
        return make_view(names, DigitsLT(), registry).label

    assert label("crop", "flip") == "crop-flip"
    made = [label(first, "flip") for first in ("crop(padding=2)", "crop(padding=3)", "torchvision:RandomHorizontalFlip(p=1)")]
    assert len(set(made)) == 3 and all(re.fullmatch(r"[\w.-]+", text) for text in made)
