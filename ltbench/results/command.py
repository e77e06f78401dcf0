"""The request that makes a record again, from the record alone, and the command that says it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.method.from_file import PREFIX
from ltbench.planning.request import ALTERNATIVES, BY_HAND, How, Request, Terms, What
from ltbench.results.text import printable
from ltbench.terms.protocol import CUSTOM, PAPER, TUNED
from ltbench.terms.shots import USUAL

if TYPE_CHECKING:
    from ltbench.results.schema import Record
    from ltbench.terms.protocol import Protocol

_FILE = re.compile(re.escape(PREFIX) + r"([A-Za-z_]\w*\.py)")
# Of every run, whatever its protocol: options of their own, and a name is no setting.
NOT_TERMS = ("name", "eval_noise", "measure_every", "hold_out", "splits")


def command_of(record: Record, protocols: Mapping[str, Protocol] | None = None) -> str:
    """Return the shell command that plans the run of a record again, every word quoted where it must be.

    Args:
        protocols: Of the record's dataset, by name; needed for a custom protocol, which is one of them changed by hand.

    Raises:
        UserError: If no command does, with the reason.
    """
    return shlex.join(["ltbench", "run", *arguments_of(request_of(record, protocols))])


def plugins_of(record: Record) -> tuple[Path, ...]:
    """Return the files which a record's methods came from: by name, for a record knows no folder."""
    named = (_FILE.fullmatch(str(method.distribution)) for stage in record.stages for method in stage.methods)
    return tuple(Path(name) for name in dict.fromkeys(match[1] for match in named if match))


def plugins_hint(record: Record, given: Sequence[Path]) -> str:
    """Return what to add to a message about a record whose methods came from files that are not given now; nothing if all are.

    Args:
        given: Files with methods.
    """
    lacking = [str(file) for file in plugins_of(record) if file.name not in {path.name for path in given}]
    return f" (it was made with --plugin {' --plugin '.join(lacking)})" if lacking else ""


def request_of(record: Record, protocols: Mapping[str, Protocol] | None = None, weights: Path | None = None, *,
               dataset: str | None = None, how: How | None = None) -> Request:
    """Return the request that plans the run of a record again, see :func:`command_of`.

    Args:
        weights: The file of weights that the run stood on or started from; None for a record that says where they are.
        dataset: How the record's dataset is typed, where it is somebody's own images: no record says where they are.
        how: Where and how, with the user's own first stage if there was one; None for as the record did.
    """
    given, tune = (None, None) if how is not None and how.stage1 is not None else _given(record, weights)
    task = record.task
    if ":" in task.dataset and dataset is None and protocols is None:  # nobody has opened it by this name
        raise UserError(f"{printable(task.dataset[:80])} is somebody's own images, and no record says where they are")
    what = What((_expression(record, explicit=record.track == PAPER),), (dataset or task.dataset,), task.imbalance_ratio,
                task.imbalance or "exp", (task.seed,), (task.split_seed,))
    protocol, paper, by_hand = _terms(record, protocols)
    if given is not None:
        seen = record.pretraining.input if record.pretraining else None
        by_hand |= {"backbone": record.protocol.backbone, **({"image_size": seen.size} if seen else {})}
    stated = record.protocol.as_dict()
    terms = Terms(protocol, record.track, paper, by_hand, stated.get("eval_noise", 0.0), record.precision,
                  stated.get("measure_every"), stated.get("hold_out", False), init=given if tune else None,
                  tune=tune, splits=record.protocol.bounds)
    how = how or How()
    how = replace(how, accumulation=record.environment.accumulation or 1, weights=None if tune else given,
                  unreadable="skip" if record.split.unreadable else how.unreadable)
    return Request(what, terms, how, plugins_of(record))


def _given(record: Record, file: Path | None) -> tuple[str | None, str | None]:
    """Return what a run was given with ``--weights`` or ``--init``, and what was tuned of it; None for neither.

    Args:
        file: In place of what the record says.
    """
    came = record.pretraining
    if record.external is None:
        if file is not None:
            raise UserError("it says nothing of weights: leave out --weights")
        return None, None
    if came is None or came.kind != "weights" or came.source == "file" and file is None:
        hint = "; give the file with --weights FILE" if came is not None and came.kind == "weights" else ""
        came_from = printable(record.external[:80])
        raise UserError(f"its first stage comes from elsewhere ({came_from}), and no record holds one{hint}")
    return str(file) if file is not None else came.source, came.tune


def _terms(record: Record, protocols: Mapping[str, Protocol] | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Return the name of a protocol, that of a paper's method, and what is changed by hand."""
    protocol = record.protocol.as_dict()
    if record.track == PAPER:
        return None, record.paper, {name: protocol[name] for name in ALTERNATIVES}
    if record.protocol.name != CUSTOM:
        return record.protocol.name, None, {}
    tuned = record.pretraining is not None and record.pretraining.tune is not None
    bases = {name: base.as_dict() for name, base in (protocols or {}).items() if tuned or name != TUNED}
    changed = {name: [field for field in sorted({*base, *protocol} - {*NOT_TERMS}) if base.get(field) != protocol.get(field)]
               for name, base in bases.items()}
    for name, fields in sorted(changed.items(), key=lambda item: (len(item[1]), item[0])):
        if set(fields) <= BY_HAND.keys():
            return name, None, {field: protocol[field] for field in fields}
    raise UserError("its custom protocol must be one of its dataset's, changed by no more than "
                    + ", ".join(map(_option, BY_HAND)))


def arguments_of(request: Request) -> list[str]:
    """Return the arguments of ``ltbench run`` that ask for one expression on one dataset.

    Of where and how they say only what may stand in a key: the parts that a batch is cut into, weights, and whether images that
    cannot be read are left out.

    Raises:
        UserError: For a value that is none in a shell.
    """
    what, terms = request.what, request.terms
    (expression,), (dataset,) = what.methods, what.datasets
    ratio = "" if what.imbalance_ratio is None else f"@{_number(what.imbalance_ratio)}"
    typed = f'"{dataset}{ratio}"' if "," in dataset else f"{dataset}{ratio}"
    words = ["--methods", expression, "--dataset", typed, "--seeds", _listed(what.seeds)]
    if what.split_seeds != (0,):
        words += ["--split-seeds", _listed(what.split_seeds)]
    if what.imbalance != "exp":
        words += ["--imbalance", what.imbalance]
    words += ["--track", PAPER] if terms.track == PAPER else []
    words += ["--protocol", terms.protocol] if terms.protocol is not None else []
    words += [word for name, value in terms.by_hand.items() for word in (_option(name), _number(value))]
    words += ["--paper", terms.paper] if terms.paper else []
    words += ["--test-noise", _number(terms.test_noise)] if terms.test_noise else []
    words += ["--measure-every", _number(terms.measure_every)] if terms.measure_every is not None else []
    words += ["--init", terms.init] if terms.init is not None else []
    words += ["--tune", terms.tune] if terms.tune is not None else []
    words += ["--weights", request.how.weights] if request.how.weights is not None else []
    words += ["--splits", _listed(terms.splits)] if terms.splits != USUAL else []
    words += ["--precision", terms.precision] if terms.precision != "fp32" else []
    words += ["--accumulate", str(request.how.accumulation)] if request.how.accumulation > 1 else []
    words += ["--unreadable", request.how.unreadable] if request.how.skip_unreadable else []
    words += [word for file in request.plugins for word in ("--plugin", str(file))]
    for word in words[1::2]:
        if word.startswith("-") and not re.fullmatch(r"-[\d.]+", word) or not word.isprintable():
            raise UserError(f"{word[:80]!r} must be a value that a command takes")
    return [*words, *(["--hold-out"] if terms.hold_out else [])]


def _expression(record: Record, *, explicit: bool) -> str:
    """Return the expression; in full where a paper's values would take the place of those that are not typed."""
    if not explicit:
        return record.expression
    from ltbench.method.hyperparameters import format_value

    stages = []
    for stage in record.stages:
        methods = []
        for method in stage.methods:
            options = ",".join(f"{name}={format_value(value)}" for name, value in sorted(method.hyperparameters.items()))
            methods.append(f"{method.name}({options})" if options else method.name)
        stages.append("+".join(methods))
    return "/".join(stages)


def _number(value: Any) -> str:
    """Write a value so that reading it gives the same again, without a dot that says nothing."""
    return repr(value).removesuffix(".0") if isinstance(value, (int, float)) else str(value)


def _listed(seeds: Sequence[int]) -> str:
    return ",".join(map(str, seeds))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
