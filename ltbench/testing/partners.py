"""Check of what a method stands beside and below: partners that plugins name, and a method that only watches."""

from __future__ import annotations

from ltbench.errors import UserError
from ltbench.method.stack import evaluation_only
from ltbench.registry.catalog import Registered
from ltbench.registry.specs import MethodSpec
from ltbench.testing.subject import Subject
from ltbench.testing.training import check_finite


def partners(subject: Subject) -> str:
    """Train beside and below every usual partner; whatever does not fit together must be refused in one line."""
    stood: list[str] = []
    refused: list[str] = []
    for text in subject.expressions:
        for entry in subject.registry.methods.values():
            stack = _stack(subject, text, entry)
            if stack is None:
                continue
            try:
                check_finite(stack, subject.train_anew(stack))
            except UserError as error:
                refused.append(f"{stack} ({error})")
            else:
                stood.append(stack)
    told = [f"trained {', '.join(stood)}"] if stood else []
    return "; ".join([*told, *(f"refused {stack}" for stack in refused)])


def _stack(subject: Subject, text: str, entry: Registered[MethodSpec]) -> str | None:
    """Return the expression in which a method meets a partner; None where they have no place together."""
    spec = entry.spec
    if not spec.partner or spec.name == subject.name:
        return None
    later = "/" in text
    if 1 not in spec.stages:
        return None if later else f"{text}/{spec.name}"
    method = subject.entry.load()
    if later and (2 not in spec.stages or not method.trains or evaluation_only(method)):
        return None  # nothing is trained there that a partner could join
    return f"{text}+{spec.name}"
