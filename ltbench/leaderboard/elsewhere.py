"""What of a run came from elsewhere, in the words of a table's heading: of a record, and of a request for runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltbench.planning.request import Request
    from ltbench.results.schema import Record

_STAGES, _WEIGHTS = "external first stages", "external pre-training"
_TUNED = {"all": "tuned", "last": "classifier tuned", "norm": "normalization tuned", "bias": "biases tuned"}


def of_record(record: Record) -> str | None:
    """Say it of a record, None where nothing did; one of before weights could be given says no more than that something did."""
    if record.external is None:
        return None
    came = record.pretraining
    return _STAGES if came is None or came.kind != "weights" else _weights(came.tune)


def weights_of(record: Record) -> dict[str, Any] | None:
    """Return which weights training started from, or froze, and how they take images: ``sha256`` and ``input``; None for none."""
    came = record.pretraining
    return None if came is None or came.kind != "weights" else {
        "sha256": came.sha256, "input": came.input and came.input.as_dict()}


def of_request(request: Request) -> str | None:
    """Say it of the runs that a request asks for, as :func:`of_record` will of their records."""
    if request.how.stage1 is not None:
        return _STAGES
    if request.terms.init is not None:
        return _weights(request.terms.tune or "all")
    return None if request.how.weights is None else _weights(None)


def _weights(tune: str | None) -> str:
    return _WEIGHTS if tune is None else f"{_WEIGHTS}, {_TUNED.get(tune, tune)}"
