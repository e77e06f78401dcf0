"""From names to what an image goes through: ``crop``, ``jitter(hue=0.1)``, ``torchvision:RandomPerspective(p=1)``."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import torch

from ltbench.data.augmentation import Augmentation, ImageFacts, facts_of
from ltbench.data.base import Dataset
from ltbench.data.view import View
from ltbench.errors import UserError, brief
from ltbench.method import hyperparameters
from ltbench.method.context import Context
from ltbench.method.stack import Stack
from ltbench.method.values import Facts
from ltbench.planning.expression import parse_options
from ltbench.registry import sources
from ltbench.registry.catalog import Registered
from ltbench.registry.discovery import Registry
from ltbench.registry.specs import AugmentationSpec
from ltbench.terms.protocol import Protocol

_WRITTEN = re.compile(r"\s*([a-z][a-z0-9_]*(?::[A-Za-z][A-Za-z0-9_]*)?)\s*(?:\((.*)\))?\s*", re.DOTALL)
_WORDS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Chosen:
    """Hold one augmentation as written.

    Args:
        name: Without options; of a family with its member.
        options: As text.
    """

    entry: Registered[AugmentationSpec]
    name: str
    member: str | None
    options: Mapping[str, str]

    def build(self, facts: ImageFacts) -> Augmentation:
        """Construct it; what it refuses becomes the user's error.

        Raises:
            UserError: If an option is unknown or ill-typed, or the constructor raises ValueError.
        """
        kind = self.entry.load()
        if not (isinstance(kind, type) and issubclass(kind, Augmentation)):
            raise UserError(f"{self.entry.spec.target} of {self.entry.distribution} is no ltbench.Augmentation")
        make = cast(Any, kind)  # each takes options of its own
        try:
            if self.member is not None:
                return cast(Augmentation, make(facts, self.member, **{key: _literal(text) for key, text in self.options.items()}))
            return cast(Augmentation, make(facts, **hyperparameters.resolve(kind, self.options, self.name)))
        except ValueError as error:
            raise UserError(f"augmentation {self.name!r}: {error}") from error
        except (TypeError, NameError) as error:  # the augmentation's mistake: name whose it is
            raise UserError(f"augmentation {self.name!r} of {self.entry.distribution} cannot be used: {error}") from error


def _literal(text: str) -> Any:
    try:
        return _WORDS[text] if text in _WORDS else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def choose(texts: Iterable[str], registry: Registry, within: tuple[str, ...] = ()) -> Iterator[Chosen]:
    """Yield the augmentations that names stand for; one made of parts gives its parts.

    Args:
        within: Names whose parts these are.

    Raises:
        UserError: For unknown names and for what is no name with options.
    """
    for text in texts:
        match = _WRITTEN.fullmatch(text)
        if not match:
            raise UserError(f"an augmentation must be written as name or name(key=value), got {text!r}")
        entry, member = registry.augmentation(match[1])
        options = dict(parse_options(match[2], text))
        if not entry.spec.parts:
            yield Chosen(entry, match[1], member, options)
        elif options or match[1] in within:
            raise UserError(f"augmentation {match[1]!r} is a sequence: it " + ("takes no options" if options else "holds itself"))
        else:
            yield from choose(entry.spec.parts, registry, (*within, match[1]))


def make_view(names: Sequence[str], dataset: Dataset, registry: Registry) -> View:
    """Return what a dataset's images go through.

    Args:
        names: Augmentations in order, each perhaps with options.

    Raises:
        UserError: If they cannot be had, or not in this order.
    """
    chosen = list(choose(names, registry))
    if len({one.name for one in chosen}) < len(chosen):
        raise UserError(f"augmentation names must differ, got {', '.join(one.name for one in chosen)}")
    facts = facts_of(dataset)
    try:
        return View({one.name: one.build(facts) for one in chosen}, facts, _label(names, chosen))
    except ValueError as error:
        raise UserError(str(error)) from error


def _label(names: Sequence[str], chosen: Sequence[Chosen]) -> str:
    plain = "-".join(one.name for one in chosen)
    code = _sources(chosen)
    if list(names) == [one.name for one in chosen] and not code and ":" not in plain:
        return plain
    return f"{plain.replace(':', '.')}-{hashlib.sha256(json.dumps([list(names), code]).encode()).hexdigest()[:8]}"


def _sources(chosen: Iterable[Chosen]) -> dict[str, str]:
    return sources.module_hashes(one.entry.spec.target.partition(":")[0] for one in chosen)


def planned_views(stack: Stack, facts: Facts, protocol: Protocol) -> tuple[tuple[str, ...], ...]:
    """Return the views that a stage declares, asked before there is any data.

    Args:
        facts: Those that the stack was built on.

    Raises:
        UserError: If the method that owns them reads what is not there yet, or gives none.
    """
    owner = stack.owner("views")
    known = SimpleNamespace(protocol=protocol, facts=facts, stage=stack.stage)
    try:
        views = tuple(tuple(names) for names in owner.views(cast(Context, known)))
    except AttributeError as error:
        raise UserError(f"views of {owner.name!r} may read ctx.protocol, ctx.facts and ctx.stage alone: {error}") from error
    if not views or not all(isinstance(name, str) for names in views for name in names):
        raise UserError(f"views of {owner.name!r} must be tuples of names, one a view, got {views}")
    return views


def check_views(views: Sequence[Sequence[str]], dataset: Dataset, registry: Registry) -> dict[str, str]:
    """Build views, and try those that plugins or torchvision take part in on a gray image.

    Returns:
        sha256 of the files of augmentations from outside ltbench, by name: what a stage is trained on depends on them.

    Raises:
        UserError: In one line, if any of them cannot work.
    """
    found: dict[str, str] = {}
    facts = facts_of(dataset)
    for names in dict.fromkeys(tuple(names) for names in views):
        view = make_view(names, dataset, registry)
        chosen = list(choose(names, registry))
        code = _sources(chosen)
        if code or any(one.member for one in chosen):
            gray = torch.full((1, facts.channels, facts.size, facts.size), 128, dtype=torch.uint8)
            try:
                view(gray, [0], 0, 0)
            except Exception as error:  # whatever a stranger's augmentation does, it is named in one line
                told = ", ".join(names)
                raise UserError(f"the view {told} cannot change an image of {dataset.name}: {brief(error)}") from error
        found |= code
    return found
