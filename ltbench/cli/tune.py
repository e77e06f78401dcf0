"""``ltbench tune``: choose hyperparameters on a validation part, then run with the chosen ones."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ltbench.cli.run.options import ALL, add_custom, add_place, add_task, add_terms
from ltbench.errors import UserError
from ltbench.terms.protocol import PAPER

if TYPE_CHECKING:
    from ltbench.backbones.pretrained import Weights
    from ltbench.planning.plan import RunPlan
    from ltbench.running.runner import Runner

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
    from ltbench.cli.run.execute import check_values
    from ltbench.planning.expression import split_list
    from ltbench.planning.matrix import find_weights, plan_matrix
    from ltbench.running.launch import check_processes
    from ltbench.running.setup import Matrix, make_runner
    from ltbench.running.tuning.sampler import require_optuna

    started_by = os.getppid()  # before torch is loaded, as ltbench run does
    check_processes(os.environ)
    _check(args)
    check_values(args)
    require_optuna()
    weights = find_weights(args)
    datasets, plans = plan_matrix(args, weights)  # refuses all that cannot work, before the first trial
    if len({(plan.task.dataset, plan.task.imbalance_ratio) for plan in plans}) > 1:  # one set at two ratios is two
        raise UserError(f"--dataset must be one set, got {args.dataset!r}: each is tuned for itself")
    trial = {"seeds": str(args.seed), "protocol": args.trial_protocol or args.protocol}
    bases = {text: _plans(args, weights, text, [], trial)[0] for text in split_list(args.methods)}
    if args.dry_run:
        _announce(args, list(bases.values()))
        return 0
    from ltbench.training.watch import watching

    with watching(started_by, debug=args.debug) as watch:
        runner = make_runner(args, Matrix(datasets, plans, weights), watch=watch)
        return _tune(args, weights, runner, bases, trial)


def _tune(args: argparse.Namespace, weights: Weights | None, runner: Runner, bases: Mapping[str, RunPlan],
          trial: Mapping[str, Any]) -> int:
    """Make the trials of every expression, then all final runs."""
    from ltbench.cli.run.execute import run_plans
    from ltbench.running.tuning.space import spelled
    from ltbench.running.tuning.study import Study, TrialFailed, check, tune

    runner.check(list(bases.values()))
    for base in bases.values():
        check(base, runner)
    runner.stages.store.require_writable()
    if runner.accelerator.is_main_process:
        _announce(args, list(bases.values()))
    finals: list[RunPlan] = []
    broken = 0
    for text, base in bases.items():
        def plan(values: list[str], text: str = text) -> RunPlan:
            return _plans(args, weights, text, values, trial)[0]

        try:
            tuned = tune(Study(base, plan, args.trials, args.seed, args.out / _FOLDER), runner)
        except TrialFailed as error:
            if runner.accelerator.is_main_process:  # the only one whose exit code says so: a launcher ends all at the first
                print(f"failed: tuning of {base.expression}: {error}", file=sys.stderr)
                broken = 1
            continue
        chosen = spelled(tuned["trials"][tuned["chosen"]]["values"] if tuned["trials"] else {})
        if chosen and runner.accelerator.is_main_process:
            print(f"{base.expression}: chose {' '.join(chosen)}", file=sys.stderr)
        finals += [replace(final, tuning=tuned) for final in _plans(args, weights, text, chosen, {})]
    return max(broken, run_plans(args, runner, finals)) if finals else broken


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
    if "," in args.split_seeds:
        raise UserError(f"--split-seeds must be one seed, got {args.split_seeds!r}: each subset is tuned for itself")


def _announce(args: argparse.Namespace, bases: list[RunPlan]) -> None:
    """Say what is tuned, and where that is too much for a ranked row."""
    from ltbench.method.search import MOST_TUNED
    from ltbench.running.tuning.space import space_of

    for base in bases:
        space = space_of(base)
        trials = f"{args.trials} trial{'s' if args.trials > 1 else ''} of" if space else "has"
        said = "; ".join(f"{name} in {where}" for name, where in space.items()) or "nothing to tune"
        print(f"{base.expression}: {trials} {said}", file=sys.stderr)
        if len(space) > MOST_TUNED:
            print(f"warning: {base.expression} has {len(space)} tuned hyperparameters: rows with more than {MOST_TUNED} are not "
                  "ranked; --set takes some out", file=sys.stderr)


def _plans(args: argparse.Namespace, weights: Weights | None, text: str, values: list[str],
           changes: Mapping[str, Any]) -> list[RunPlan]:
    """Plan one expression with hyperparameters set to some values."""
    from ltbench.planning.expression import parse_settings, resolve
    from ltbench.planning.matrix import plan_matrix

    settings = {item: parse_settings([item], args.registry) for item in args.set}
    expression = resolve(text, args.registry, parse_settings(args.set, args.registry))
    names = {choice.method.name for stage in expression.stages for choice in stage}
    own = [item for item, setting in settings.items() if names >= setting.keys()]  # the others are another expression's
    options = {**vars(args), "methods": text, "set": [*own, *values], **changes}
    return plan_matrix(argparse.Namespace(**options), weights)[1]
