"""What a second run says of a record: equal, within the spread of its row, or neither."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ltbench.results.accuracy import SPLITS
from ltbench.results.interval import cut, mean_and_deviation, t_quantile
from ltbench.results.records import equal
from ltbench.results.schema import Record

# Where code and hyperparameters came from: a run with the values that trials chose may be equal all the same.
_ORIGIN = ("core.", "predictions.file", "tuning")


@dataclass(frozen=True)
class Interval:
    """Hold where one more run of a row is expected, with a probability of 95 %.

    Args:
        low: Its lower end, in percent.
        high: Its upper end.
        runs: How many runs it was made of.
    """

    low: float
    high: float
    runs: int

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high


@dataclass(frozen=True)
class Verdict:
    """Hold how a second run compares with the record.

    Args:
        differing: Fields that say what came out and are not equal.
        same_predictions: Whether every prediction is equal; None where a run has none.
        accuracies: Split -> recorded and now, in percent.
        interval: Of the accuracy over all classes; None where too few other seeds are known.
        reproduced: Whether the record is confirmed.
        reason: In one line.
    """

    differing: list[str]
    same_predictions: bool | None
    accuracies: dict[str, tuple[float | None, float | None]]
    interval: Interval | None
    reproduced: bool
    reason: str


def prediction_interval(values: Sequence[float]) -> Interval | None:
    """Return where one more value is expected: mean ± t(0.975, n - 1) s sqrt(1 + 1 / n), with the standard deviation s.

    Wider than the interval of the mean: it is for a single run, not for the mean of many.

    Args:
        values: n of them, in percent, of runs that share nothing but their settings.

    Returns:
        The interval; None for fewer than two values, which say nothing of spread.
    """
    n = len(values)
    if n < 2:
        return None
    mean, deviation = mean_and_deviation(values)
    half = t_quantile(n - 1) * deviation * math.sqrt(1 + 1 / n)
    return Interval(*cut((mean - half, mean + half), (0.0, 100.0)), n)


def judge(record: Record, again: Record, others: Sequence[Record]) -> Verdict:
    """Compare a record with a second run of it.

    Where the predictions are equal, so must be every figure. Where they are not, both accuracies over all classes must lie where
    the row's other seeds expect one more run.

    Args:
        others: Completed records of the same row with other seeds.
    """
    differing = [path for path in equal(record, again) if not path.startswith(_ORIGIN)]
    accuracies = {name: (_accuracy(record, name), _accuracy(again, name)) for name in SPLITS}
    if record.status != again.status:
        return Verdict(differing, None, accuracies, None, False, f"it {_did(record)}, and the second run {_did(again)}")
    if record.predictions is None or again.predictions is None:  # they did not complete
        return Verdict(differing, None, accuracies, None, True, f"both runs {_did(again)}")
    known = [_accuracy(other, "all") for other in others]
    interval = prediction_interval([value for value in known if value is not None])
    same = record.predictions.sha256 == again.predictions.sha256
    wrong = [path for path in differing if path.startswith(("metrics.", "per_class.")) and not path.startswith("metrics.extra")]
    if same:
        reason = f"equal predictions do not give {wrong[0]} as the record has it" if wrong else "every prediction is equal"
        return Verdict(differing, same, accuracies, interval, not wrong, reason)
    outside = [what for what, value in zip(("the record", "the second run"), accuracies["all"], strict=True)
               if interval is not None and value not in interval]
    if interval is None:
        reason = f"predictions differ, and two other seeds of the row are needed to say by how much they may, got {len(others)}"
    elif outside:
        reason = f"{' and '.join(outside)} {'lie' if len(outside) > 1 else 'lies'} outside the interval"
    else:
        reason = "the record and the second run lie within the interval"
    return Verdict(differing, same, accuracies, interval, interval is not None and not outside, reason)


def describe(verdict: Verdict) -> Iterator[str]:
    """Yield a verdict as lines for a person."""
    more = f" and {len(verdict.differing) - 5} more" if len(verdict.differing) > 5 else ""
    differing = ", ".join(verdict.differing[:5]) + more
    yield f"records equal: {f'no, they differ in {differing}' if differing else 'yes'}"
    if verdict.same_predictions is not None:
        yield f"predictions equal: {'yes' if verdict.same_predictions else 'no'}"
    for name, (recorded, now) in verdict.accuracies.items():
        if recorded is not None and now is not None:
            yield f"accuracy {name}: recorded {recorded:.2f}, now {now:.2f}, difference {now - recorded:+.2f}"
    if verdict.interval is not None:
        low, high, n = verdict.interval.low, verdict.interval.high, verdict.interval.runs
        yield f"interval for one more run, from {n} other seeds: {low:.2f} to {high:.2f} (mean ± t s sqrt(1 + 1/{n}), 95 %)"
    yield f"{'reproduced' if verdict.reproduced else 'not reproduced'}: {verdict.reason}"


def _accuracy(record: Record, name: str) -> float | None:
    return None if record.metrics is None else record.metrics.accuracy.as_dict().get(name)


def _did(record: Record) -> str:
    return f"{record.status}{'' if record.reason is None else ' (' + record.reason + ')'}"
