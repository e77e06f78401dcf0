"""The method under test, with what its checks share."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ltbench.registry.catalog import Registered
from ltbench.registry.specs import MethodSpec
from ltbench.terms.protocol import Protocol
from ltbench.testing import scene
from ltbench.testing.scene import Scene
from ltbench.training.engine import Engine


@dataclass
class Trained:
    """Hold a trained stage's engine, its loss by epoch and its logits on the test slice."""

    engine: Engine
    losses: list[float]
    logits: Tensor


class Subject:
    """Hold one registered method, and the expressions in which it can be tried.

    Args:
        stands_on: What it stands on as a later stage; None for what the method says, or the base method.
    """

    def __init__(self, method: str, plugins: tuple[str, ...] = (), stands_on: str | None = None,
                 folder: Path | None = None) -> None:
        self.registry = scene.installed(plugins)
        self.entry: Registered[MethodSpec] = self.registry.methods.get(method)
        self.name = self.entry.spec.name
        self.stands_on = stands_on
        self.usual = _scene(plugins, scene.USUAL_RATIO, folder, self.on(scene.PROTOCOL))
        self.one_image = _scene(plugins, scene.ONE_IMAGE_RATIO, folder, self.on(scene.PROTOCOL))
        self.split = _scene(plugins, scene.USUAL_RATIO, folder, self.on(scene.SPLIT))
        self.cut = _scene(plugins, scene.USUAL_RATIO, folder, self.on(scene.CUT))
        self._trained: dict[str, Trained] = {}

    def on(self, protocol: Protocol) -> Protocol:
        """Return a protocol with a backbone that the method works on."""
        return protocol.replace(backbone=scene.TRANSFORMER) if self.entry.spec.needs_transformer else protocol

    @property
    def expressions(self) -> list[str]:
        """The method as a first stage, as a later one, or both; a third stage where what it stands on is a second."""
        stages = self.entry.spec.stages
        later = f"{self.stands_on or self.entry.load().below or self.registry.base_method}/{self.name}" if 2 in stages else ""
        return [self.name] * (1 in stages) + [later] * (2 in stages)

    def trained(self, text: str) -> Trained:
        """Return an expression's last stage after two steps, trained once for all checks."""
        if text not in self._trained:
            self._trained[text] = self.train_anew(text)
        return self._trained[text]

    def train_anew(self, text: str, place: Scene | None = None, folder: Path | None = None) -> Trained:
        """Train an expression's last stage in an empty store, or go on with what is in a folder's."""
        place = place or self.usual
        with nullcontext(folder) if folder else scene.scratch() as store:
            stage = place.train(text, store)
            losses = [float(row["loss"]) for row in stage.curve if "loss" in row]  # what is measured at epoch 0 has none
            return Trained(stage.engine, losses, place.logits(stage.engine))


@functools.cache
def _scene(plugins: tuple[str, ...], ratio: float, folder: Path | None, protocol: Protocol) -> Scene:
    return Scene(scene.installed(plugins), ratio, folder, protocol=protocol)
