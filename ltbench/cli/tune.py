"""``ltbench tune``: choose hyperparameters on a validation part, then run with the chosen ones."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ltbench.cli.run.options import add_custom, add_place, add_task, add_terms, request_of
from ltbench.errors import UserError
from ltbench.planning.request import ALL, Request
from ltbench.terms.protocol import PAPER

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan
    from ltbench.registry.discovery import Registry
    from ltbench.running.runner import Runner
    from ltbench.running.tuning.study import Study

_FOLDER = "tuning"  # of --out


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "tune", help="choose hyperparameters on validation images, then run",
        description="Tune each expression with the same number of trials on the set's validation images, or on training images "
                    "held out, and never on test images; then run it with the chosen values on the whole training split. What is "
                    "tuned stands beside a method's hyperparameters (ltbench methods NAME); --set takes one out.")
    tuning = parser.add_argument_group("what is tuned")
    tuning.add_argument("methods", metavar="EXPR,...", help="expressions, as ltbench run takes them")
    tuning.add_argument("--trials", type=int, required=True, metavar="N", help="of each expression")
    tuning.add_argument("--seed", type=int, default=0, metavar="S", help="of the sampler and of training in trials (default: 0)")
    tuning.add_argument("--trial-protocol", metavar="NAME", help="of the trials, such as quick (default: that of the final runs)")
    add_task(parser.add_argument_group("what is run"))
    for add in (add_terms, add_custom, add_place):
        add(parser)
    parser.set_defaults(run=run, board=None)


def run(args: argparse.Namespace) -> int:
    """Tune every expression, then run all of them."""
    from ltbench.planning.matrix import find_weights, plan_matrix
    from ltbench.running.launch import check_processes
    from ltbench.running.setup import make_runner
    from ltbench.running.tuning.sampler import require_optuna
    from ltbench.running.tuning.study import Study
    from ltbench.training.watch import watching

    check_processes(os.environ)
    _check(args)
    request = request_of(args)
    require_optuna()
    weights = find_weights(request)
    planned = plan_matrix(request, args.registry, weights)  # refuses all that cannot work, before the first trial
    if len({(plan.task.dataset, plan.task.imbalance_ratio) for plan in planned.plans}) > 1:  # one set at two ratios is two
        raise UserError(f"--dataset must be one set, got {args.dataset!r}: each is tuned for itself")

    def plans(request: Request, text: str, values: Mapping[str, Any]) -> list[RunPlan]:
        return plan_matrix(_one(request, args.registry, text, values), args.registry, weights).plans

    trials = replace(request, what=replace(request.what, seeds=(args.seed,)),
                     terms=replace(request.terms, protocol=args.trial_protocol or request.terms.protocol))

    def study(text: str) -> Study:
        return Study(plans(trials, text, {})[0], lambda values: plans(trials, text, values)[0], args.trials, args.seed,
                     request.how.out / _FOLDER)

    studies = {text: study(text) for text in request.what.methods}
    with watching(debug=request.how.debug) as watch:
        runner = make_runner(request, args.registry, planned, watch)
        _prepare(studies, runner, planned.plans)
        return 0 if request.how.dry_run else _tune(studies, runner, lambda text, values: plans(request, text, values))


def _prepare(studies: Mapping[str, Study], runner: Runner, finals: Sequence[RunPlan]) -> None:
    """Refuse what cannot be tuned, and say what is.

    Args:
        finals: The final runs, planned with what is set by hand.
    """
    from ltbench.running.checks import check_split_seeds
    from ltbench.running.tuning.study import check

    bases = [study.base for study in studies.values()]
    runner.check(bases)
    check_split_seeds(finals, runner.data, tunes=True)
    for base in bases:
        check(base, runner)
    if not runner.options.dry_run:
        runner.stages.store.require_writable()
    if runner.accelerator.is_main_process:
        _announce(list(studies.values()))


def _tune(studies: Mapping[str, Study], runner: Runner, finals_of: Callable[[str, Mapping[str, Any]], list[RunPlan]]) -> int:
    """Make the trials of every expression, then all final runs; return the exit code.

    Args:
        studies: By expression.
        runner: Of trials and final runs.
        finals_of: Plans the final runs of an expression with the chosen values.
    """
    from ltbench.cli.run.execute import run_plans
    from ltbench.running.tuning.space import spelled
    from ltbench.running.tuning.study import TrialFailed, tune

    finals: list[RunPlan] = []
    broken = 0
    for text, study in studies.items():
        try:
            tuned = tune(study, runner)
        except TrialFailed as error:
            if runner.accelerator.is_main_process:  # the only one whose exit code says so: a launcher ends all at the first
                print(f"failed: tuning of {study.base.expression}: {error}", file=sys.stderr)
                broken = 1
            continue
        chosen = tuned["trials"][tuned["chosen"]]["values"] if tuned["trials"] else {}
        if chosen and runner.accelerator.is_main_process:
            print(f"{study.base.expression}: chose {' '.join(spelled(chosen))}", file=sys.stderr)
        finals += [replace(final, tuning=tuned) for final in finals_of(text, chosen)]
    return max(broken, run_plans(runner, finals)) if finals else broken


def _check(args: argparse.Namespace) -> None:
    if args.methods.strip() in (ALL, ""):
        raise UserError(f"EXPR must be expressions, got {args.methods!r}")
    if args.trials < 1:
        raise UserError(f"--trials must be >= 1, got {args.trials}")
    if not 0 <= args.seed < 2**63:
        raise UserError(f"--seed must be >= 0 and below 2^63, got {args.seed}")
    if args.track == PAPER:
        raise UserError("--track must be common for tuning, got paper: there every hyperparameter is the paper's")
    if args.stage1 is not None:
        raise UserError("--stage1 must be left out for tuning: a stage from elsewhere has seen the images that are held out")
    if args.hold_out:
        raise UserError("--hold-out must be left out for tuning, which holds images out itself")
    if "," in args.split_seeds:
        raise UserError(f"--split-seeds must be one seed, got {args.split_seeds!r}: each subset is tuned for itself")


def _announce(studies: Sequence[Study]) -> None:
    """Say what is tuned, and where that is too much for a ranked row."""
    from ltbench.method.search import MOST_TUNED
    from ltbench.running.tuning.space import space_of

    for study in studies:
        space, text = space_of(study.base), study.base.expression
        trials = f"{study.trials} trial{'s' if study.trials > 1 else ''} of" if space else "has"
        said = "; ".join(f"{name} in {where}" for name, where in space.items()) or "nothing to tune"
        print(f"{text}: {trials} {said}", file=sys.stderr)
        if len(space) > MOST_TUNED:
            print(f"warning: {text} has {len(space)} tuned hyperparameters: rows with more than {MOST_TUNED} are not ranked; "
                  "--set takes some out", file=sys.stderr)


def _one(request: Request, registry: Registry, text: str, values: Mapping[str, Any]) -> Request:
    """Ask for one expression alone, with what was set of its methods and with tuned values by ``method.name``."""
    from ltbench.planning.expression import group_settings, resolve

    settings = request.what.settings
    expression = resolve(text, registry, settings)
    names = {choice.method.name for stage in expression.stages for choice in stage}
    own = [(f"{name}.{key}", value) for name in settings.keys() & names for key, value in settings[name].items()]
    return replace(request, what=replace(request.what, methods=(text,),
                                         settings=group_settings([*own, *values.items()], registry)))
