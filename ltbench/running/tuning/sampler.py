"""Which values to try next: Optuna's tree-structured Parzen estimator, one trial after the other.

Nothing of Optuna is stored. A study that goes on tells a new sampler what came out so far, trial by trial; as the sampler draws
from its seed alone, it then asks for what it would have asked for without the interruption. No trial is pruned: a method whose
trials end early would have had a smaller budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.method.search import Choice, LogUniform, Range
from ltbench.running.tuning.space import rounded

if TYPE_CHECKING:
    import optuna

NAME = "tpe"


def require_optuna() -> str:
    """Return Optuna's version.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("tuning needs Optuna: pip install 'ltbench[tune]'") from None
    return str(optuna.__version__)


class Sampler:
    """Propose values and hear what they gave.

    Args:
        space: Where to look, by name.
        seed: Of everything random.
    """

    def __init__(self, space: Mapping[str, Range], seed: int) -> None:
        require_optuna()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._distributions = {name: _distribution(where) for name, where in space.items()}
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
        self._trial: optuna.Trial

    def ask(self) -> dict[str, Any]:
        """Return the values of the next trial; numbers have four significant digits and stay within their range."""
        self._trial = self._study.ask(self._distributions)
        return {name: _within(self._space[name], self._trial.params[name]) for name in self._space}

    def tell(self, score: float | None) -> None:
        """Hear the last trial's score; None for values that a method refused.

        Args:
            score: The higher the better.
        """
        from optuna.trial import TrialState

        if score is None:
            self._study.tell(self._trial, state=TrialState.FAIL)
        else:
            self._study.tell(self._trial, score)


def _within(where: Range, value: Any) -> Any:
    return value if isinstance(where, Choice) else min(max(rounded(value), where.low), where.high)


def _distribution(where: Range) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(where, Choice):
        return CategoricalDistribution(where.values)
    return FloatDistribution(where.low, where.high, log=isinstance(where, LogUniform))
