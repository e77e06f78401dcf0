"""The built-in verbs and the progress display, as an ordinary plugin."""

from __future__ import annotations

import argparse
import importlib

from ltbench.registry.hookspecs import hookimpl
from ltbench.running.progress import ltbench_epoch_end, ltbench_run_end, ltbench_run_start, ltbench_stage_end, ltbench_step

__all__ = ["ltbench_commands", "ltbench_epoch_end", "ltbench_run_end", "ltbench_run_start", "ltbench_stage_end",
           "ltbench_step"]

# Modules, named after their verb; but "extend" adds "plugin", for that would be this module.
VERBS = ("run", "config", "tune", "board", "baselines", "leaderboard", "report", "compare", "show", "check", "reproduce",
         "predict", "export", "methods", "datasets", "backbones", "augmentations", "data", "plugins", "submit", "cache", "doctor",
         "extend", "completion")


@hookimpl
def ltbench_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add every verb; their modules import what is heavy only when they run."""
    for verb in VERBS:
        importlib.import_module(f"ltbench.cli.{verb}").register(commands)
