"""Records that a plan stands for, where nobody can wait for the run."""

from __future__ import annotations

import argparse
import shlex
from functools import cache

from ltbench.cli.main import build_parser
from ltbench.cli.run.options import request_of
from ltbench.planning.matrix import find_weights, plan_matrix
from ltbench.planning.plan import RunPlan
from ltbench.registry.discovery import load_registry
from ltbench.results.plain import plain
from ltbench.results.schema import Record
from tests.support import record_factory


@cache
def _parser() -> argparse.ArgumentParser:
    return build_parser(load_registry(strict=False))


def plan_of(text: str) -> RunPlan:
    """Return the plan of a command's one run."""
    program, *arguments = shlex.split(text)
    assert program == "ltbench"
    args = _parser().parse_args(arguments)
    request = request_of(args)
    (plan,) = plan_matrix(request, args.registry, find_weights(request)).plans
    return plan


def recorded(plan: RunPlan) -> Record:
    """Return what a record of a plan would say of its settings."""
    return record_factory.model(
        expression=str(plan.expression), expression_hash=plan.expression.hash, key=plan.key, track=plan.task.track,
        paper=plan.paper, precision=plan.precision, external=plan.external, protocol=plan.protocol.as_dict(),
        task={"dataset": plan.task.dataset, "imbalance_ratio": plan.task.imbalance_ratio, "imbalance": plan.task.imbalance,
              "split_seed": plan.task.split_seed, "seed": plan.task.seed},
        stages=[{"expression": stage.text, "key": stage.key, "inputs": "images", "protocol": stage.protocol.as_dict(),
                 "methods": [{"name": choice.method.name, "distribution": "ltbench", "version": "0.1.0", "sources": {},
                              "hyperparameters": plain(choice.values)} for choice in stage.choices]}
                for stage in plan.stages],
        **({"pretraining": dict(plan.pretraining)} if plan.pretraining else {}))
