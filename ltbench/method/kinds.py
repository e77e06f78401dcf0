"""What a stage classifies with once it is over, and what a later one can go on from: known before any data is read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ltbench.errors import UserError
from ltbench.method.contract import KEPT, MADE, Method
from ltbench.method.factories import HeadFactory
from ltbench.method.heads import CosineClassifier, DistanceClassifier
from ltbench.method.stack import Stack
from ltbench.method.values import Facts

LINEAR, COSINE, CENTROIDS = "linear", "cosine", "centroids"


def kind_of(head: nn.Module) -> str:
    """Name what a head classifies with, as ``Method.leaves`` and ``Method.needs`` do.

    Returns:
        ``linear``, ``cosine``, ``centroids`` for plain Euclidean distances to one point a class, else the name of the class.
    """
    classifier = getattr(head, "classifier", head)
    if type(classifier) is nn.Linear:  # a class of its own may score by the same weights in another way
        return LINEAR
    if isinstance(classifier, CosineClassifier):
        return COSINE
    if isinstance(classifier, DistanceClassifier) and classifier.plain:
        return CENTROIDS
    return type(classifier).__name__


def left_by(stack: Stack, before: str | None) -> str | None:
    """Return the kind of classifier that a stage leaves, or None where its method does not say.

    Args:
        before: What the stage before leaves.
    """
    if stack.stage > 1 and stack.evaluation_only:
        return before
    if not stack.owns("build_head"):
        return _made(stack)
    said = stack.owner("build_head").leaves
    return before if said == KEPT else _made(stack) if said == MADE else said


def _made(stack: Stack) -> str | None:
    said = stack.owner("make_classifier").leaves if stack.owns("make_classifier") else LINEAR
    return None if said in (KEPT, MADE) else said


def check_below(stack: Stack, before: str | None, text: str) -> None:
    """Refuse a later stage that cannot go on from the stage before it.

    Args:
        before: What the stage before leaves; None for unknown, which a run finds out.
        text: The stage before, as written.

    Raises:
        UserError: If a method needs another classifier.
    """
    for method in stack.methods:
        if before is not None and method.needs and before not in method.needs:
            raise UserError(f"{method.name!r} must stand on a stage that leaves {_listed(method)}, got {text!r}, which leaves "
                            f"{before!r}")


def check_trainable(stack: Stack, facts: Facts) -> None:
    """Refuse a later stage that takes steps although its head is fixed, its backbone frozen, and nothing else learns.

    Args:
        facts: Those that the stack was built on.

    Raises:
        UserError: Naming the method whose head is fixed.
    """
    owner = stack.owner("build_head")
    if owner.trains or not (stack.trains and stack.owns("build_head") and stack.backbone == "frozen"):
        return
    with torch.device("meta"):  # shapes alone: a head may hold as much as a backbone
        head = owner.build_head(HeadFactory(stack.owner("make_classifier").make_classifier, facts.feature_dim, facts.num_classes))
    if not any(parameter.requires_grad for part in (head, *stack.methods) for parameter in part.parameters()):
        others = " and ".join(repr(method.name) for method in stack.methods if method is not owner)
        raise UserError(f"{others} would have nothing to train: the head of {owner.name!r} is fixed and the backbone frozen")


def _listed(method: Method) -> str:
    needs: Sequence[str] = sorted(method.needs)
    example = f" (as {method.below!r} does)" if method.below else ""
    return " or ".join(map(repr, needs)) + example
