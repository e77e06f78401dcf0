"""Name first stages that a board of this installation holds, before an hour goes into training them again."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltbench.system.settings import cache_root
from ltbench.trust.origin import published_stages

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan
    from ltbench.running.runner import Runner


def tell_published(plans: Sequence[RunPlan], runner: Runner) -> None:
    """Say how to take such stages into the store, if runs that are to be made would train them."""
    held = set() if runner.stages.given else published_stages()
    store = runner.stages.store
    cache = "" if store.root.parent == cache_root(None) else f" --cache {shlex.quote(str(store.root.parent))}"
    for task in sorted({str(plan.task) for plan in plans if plan.stages[0].key in held
                        and not store.has(plan.stages[0].key) and not runner.finished(plan)}):
        print("ltbench: a board holds first stages that are trained here: "
              f"ltbench baselines pull {task} --stages{cache} puts them into the store", file=sys.stderr)
