"""All checks of the kit, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from ltbench.testing import specification, training
from ltbench.testing.processes import check_two_processes
from ltbench.testing.results import Result, brief
from ltbench.testing.subject import Subject


@dataclass(frozen=True)
class Check:
    """Hold one check.

    Args:
        run: Raises if the method does not pass.
        mend: How methods usually come to pass it.
    """

    run: Callable[[Subject], None]
    mend: str


_STATE = "keep every state in parameters and registered buffers: nothing else is in a file of weights or in a checkpoint"

CHECKS = {
    "spec": Check(
        specification.spec,
        "make the MethodSpec and the class say the same; hyperparameters are keyword-only, annotated, with defaults, and "
        "explained in the class's docstring; a search space is of these, with values that the constructor takes"),
    "refusals": Check(
        specification.refusals,
        "annotate hyperparameters with bool, int, float, str, Literal, tuple[...] or one of these with None; the core then "
        "converts and refuses by name"),
    "paper": Check(
        specification.paper,
        "name protocol fields, hyperparameters, methods and backbones that exist, with values that they accept; settings of "
        "methods that stand together must agree"),
    "trains": Check(
        training.trains, "look for a division by zero, a logarithm or square root of zero, or a slot that is missing"),
    "deterministic": Check(
        training.deterministic,
        "draw random numbers from ctx.generator or torch's own generator, never from random, numpy or the clock"),
    "save_and_load": Check(training.save_and_load, _STATE),
    "resumes": Check(training.resumes, _STATE),
    "one_image": Check(training.one_image, "a class may have one training image: no variance, no n - 1"),
    "one_class": Check(training.one_class, "a batch may hold one class: statistics over the classes present must bear that"),
    "measures": Check(
        training.measures,
        "compute figures from the state as it is and write nothing down: what one epoch must remember for the next belongs in a "
        "buffer that end_epoch sets; random choices need a generator of their own"),
    "composes": Check(
        training.composes,
        "a step must return the output and the batch that belong together, row by row, and the stage's head must be one that a "
        "later stage can stand on"),
}


@functools.lru_cache(maxsize=64)
def subject(method: str, plugins: tuple[str, ...] = (), stands_on: str | None = None) -> Subject:
    """Return a method under test, the same one for all its checks."""
    return Subject(method, plugins, stands_on)


def run_check(check: str, method: str, *, plugins: tuple[str, ...] = (), stands_on: str | None = None) -> Result:
    """Run one check in this process.

    Args:
        check: A name of ``CHECKS``.
        method: The method's name.
        plugins: Modules of plugins that are not installed.
        stands_on: What the method stands on as a later stage; None for the base method.
    """
    try:
        CHECKS[check].run(subject(method, plugins, stands_on))
    except Exception as error:  # whatever a stranger's method does, the other checks go on
        return Result(method, check, False, brief(error), CHECKS[check].mend)
    return Result(method, check, True)


def check_method(method: str, *, plugins: tuple[str, ...] = (), stands_on: str | None = None,
                 processes: bool = True) -> list[Result]:
    """Run every check on one method, without pytest.

    Args:
        method: The method's name.
        plugins: Modules of plugins that are not installed.
        stands_on: What the method stands on as a later stage; None for the base method.
        processes: Whether to start two processes as well, which takes some seconds.
    """
    results = [run_check(check, method, plugins=plugins, stands_on=stands_on) for check in CHECKS]
    if processes:
        results.append(check_two_processes([method], plugins=plugins, stands_on=stands_on)[method])
    return results

