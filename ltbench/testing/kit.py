"""The checks of a method, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from ltbench.testing import shapes, specification, training
from ltbench.testing.accumulation import accumulation
from ltbench.testing.checks import Check
from ltbench.testing.many_classes import check_many_classes
from ltbench.testing.partners import partners
from ltbench.testing.processes import AGAIN, check_two_processes
from ltbench.testing.results import Result, attempt, brief
from ltbench.testing.subject import Subject

_STATE = "keep every state in parameters and registered buffers: nothing else is in a file of weights or in a checkpoint"

CHECKS = {
    "spec": Check(
        specification.spec,
        "make the MethodSpec and the class say the same, the paper in one line; hyperparameters are keyword-only, annotated, "
        "with defaults, and explained in the class's docstring; a search space is of these, with values that the constructor "
        "takes"),
    "refusals": Check(
        specification.refusals,
        "annotate hyperparameters with bool, int, float, str, Literal, tuple[...] or one of these with None; the core then "
        "converts and refuses by name, and the constructor raises ValueError, naming the argument, for what is out of range"),
    "paper": Check(
        specification.paper,
        "name protocol fields, hyperparameters, methods and backbones that exist, with values that they accept; settings of "
        "methods that stand together must agree"),
    "trains": Check(
        training.trains,
        "where it raised: help(ltbench.Method) says what each slot is given and must return; where a loss is no number: look "
        "for a division by zero, or a logarithm or square root of zero"),
    "shapes": Check(
        shapes.shapes,
        "return one loss a sample from criterion, (B, C) logits from heads and predict, and keep parameters and buffers float32: "
        "class counts are int64, and what is computed from them in float64 needs .float()"),
    "deterministic": Check(
        training.deterministic,
        "draw random numbers from ctx.generator or torch's own generator, never from random, numpy or the clock"),
    "save_and_load": Check(training.save_and_load, _STATE),
    "resumes": Check(training.resumes, _STATE),
    "bf16": Check(
        shapes.bf16,
        "compute logarithms, norms, variances and sums over many in float32: .float(), or torch.autocast(kind, enabled=False)"),
    "devices": Check(
        shapes.devices,
        "register buffers instead of keeping tensors; create new ones with device=ctx.device or like one that is there"),
    "one_image": Check(training.one_image, "a class may have one training image: no variance, no n - 1"),
    "one_class": Check(training.one_class, "a batch may hold one class: statistics over the classes present must bear that"),
    "measures": Check(
        training.measures,
        "compute figures from the state as it is and write nothing down: what one epoch must remember for the next belongs in a "
        "buffer that end_epoch sets; random choices need a generator of their own"),
    "composes": Check(
        training.composes,
        "a step must return the output and the batch that belong together, row by row, and go through ctx.default_step, or "
        "through ctx.mix and ctx.loss, unless the method owns mix and criterion too; the stage's head must be one that a later "
        "stage can stand on"),
    "accumulation": Check(
        accumulation,
        "count and draw once a global batch: in start_epoch, after_step or end_epoch, from ctx.generator and batch.rows_of(...); "
        "a loss on what one part alone sees, such as pairs of its images, says per_part=True in the MethodSpec or the class"),
    "partners": Check(
        partners,
        "go through ctx.criterion, ctx.loss and ctx.default_step, read step.batch.targets rather than labels where images may be "
        "mixed, and ask the head and the backbone for their widths; own a slot only where nobody else may"),
}


# Checks of many methods at once in processes of their own, for to start these takes the longest; one result a method.
APART: dict[str, Callable[..., dict[str, Result]]] = {"two_processes": check_two_processes, "many_classes": check_many_classes}


@functools.lru_cache(maxsize=64)
def subject(method: str, plugins: tuple[str, ...] = (), stands_on: str | None = None) -> Subject:
    """Return a method under test, the same one for all its checks."""
    return Subject(method, plugins, stands_on)


def run_check(check: str, method: str, *, plugins: tuple[str, ...] = (), stands_on: str | None = None) -> Result:
    """Run one check in this process.

    Args:
        plugins: That are not installed: modules, files or folders of distributions.
        stands_on: What the method stands on as a later stage; None for the base method.
    """
    return attempt(method, check, CHECKS[check].mend, lambda: CHECKS[check].run(subject(method, plugins, stands_on)))


def run_apart(check: str, methods: Sequence[str], *, plugins: tuple[str, ...] = (),
              stands_on: str | None = None) -> dict[str, Result]:
    """Run one of the checks that start processes, of many methods; each has a result, whatever becomes of the processes."""
    try:
        return APART[check](methods, plugins=plugins, stands_on=stands_on)
    except Exception as error:
        return {name: Result(name, check, "failed", f"the check could not be made: {brief(error)}", AGAIN) for name in methods}


def check_method(method: str, *, plugins: tuple[str, ...] = (), stands_on: str | None = None,
                 processes: bool = True) -> list[Result]:
    """Run every check on one method, without pytest.

    Args:
        plugins: That are not installed: modules, files or folders of distributions.
        stands_on: What the method stands on as a later stage; None for the base method.
        processes: Whether to make the checks that start processes as well, which takes some seconds.
    """
    results = [run_check(check, method, plugins=plugins, stands_on=stands_on) for check in CHECKS]
    if processes:
        results += [run_apart(check, [method], plugins=plugins, stands_on=stands_on)[method] for check in APART]
    return results

