"""The command that makes a record again, from the record alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.method.from_file import PREFIX
from ltbench.terms.protocol import CUSTOM, PAPER

if TYPE_CHECKING:
    from ltbench.results.records import Record
    from ltbench.terms.protocol import Protocol

_FILE = re.compile(re.escape(PREFIX) + r"([A-Za-z_]\w*\.py)")
# What ``ltbench run`` can change of a protocol by hand.
BY_HAND = ("epochs", "batch_size", "lr", "weight_decay", "optimizer", "schedule", "backbone", "image_size")
# Of every run, whatever its protocol: noise is of the test images, and a name is no setting.
NOT_TERMS = ("name", "eval_noise")


def command_of(record: Record, protocols: Mapping[str, Protocol] | None = None) -> str:
    """Return the shell command that plans the run of a record again, every word quoted where it must be.

    Args:
        record: As read.
        protocols: Of the record's dataset, by name; needed for a custom protocol, which is one of them changed by hand.

    Raises:
        UserError: If no command does, with the reason.
    """
    return shlex.join(["ltbench", "run", *arguments_of(record, protocols), *plugin_options(record)])


def plugin_options(record: Record) -> list[str]:
    """Return the options that take in the files which a record's methods came from: by name, for a record knows no folder."""
    named = (_FILE.fullmatch(str(method["distribution"])) for stage in record["stages"] for method in stage["methods"])
    return [word for name in dict.fromkeys(match[1] for match in named if match) for word in ("--plugin", name)]


def arguments_of(record: Record, protocols: Mapping[str, Protocol] | None = None) -> list[str]:
    """Return the arguments of ``ltbench run``, see :func:`command_of`."""
    if record["external"] is not None:
        raise UserError(f"its first stage comes from elsewhere ({record['external']:.80}), and no record holds one")
    task = record["task"]
    if ":" in task["dataset"]:
        raise UserError(f"{task['dataset']:.80} is somebody's own images, and no record says where they are")
    ratio = "" if task["imbalance_ratio"] is None else f"@{_number(task['imbalance_ratio'])}"
    paper = record["track"] == PAPER
    words = ["--methods", _expression(record, explicit=paper), "--dataset", f"{task['dataset']}{ratio}",
             "--seeds", str(task["seed"])]
    if task["split_seed"]:
        words += ["--split-seeds", str(task["split_seed"])]
    if task["imbalance"] not in (None, "exp"):
        words += ["--imbalance", task["imbalance"]]
    words += _paper_terms(record) if paper else _common_terms(record["protocol"], protocols)
    if noise := record["protocol"].get("eval_noise"):
        words += ["--test-noise", _number(noise)]
    if record["precision"] != "fp32":
        words += ["--precision", record["precision"]]
    for word in words[1::2]:
        if word.startswith("-") and not re.fullmatch(r"-[\d.]+", word) or not word.isprintable():
            raise UserError(f"{word[:80]!r} must be a value that a command takes")
    return words


def _paper_terms(record: Record) -> list[str]:
    protocol = record["protocol"]
    terms = ["--track", PAPER, "--backbone", protocol["backbone"], "--epochs", str(protocol["epochs"])]
    return [*terms, *(["--paper", record["paper"]] if record.get("paper") else [])]


def _common_terms(protocol: Mapping[str, Any], protocols: Mapping[str, Protocol] | None) -> list[str]:
    if protocol["name"] != CUSTOM:
        return ["--protocol", protocol["name"]]
    bases = {name: base.as_dict() for name, base in (protocols or {}).items()}
    changed = {name: [field for field in sorted({*base, *protocol} - {*NOT_TERMS}) if base.get(field) != protocol.get(field)]
               for name, base in bases.items()}
    for name, fields in sorted(changed.items(), key=lambda item: (len(item[1]), item[0])):
        if set(fields) <= set(BY_HAND):
            values = {field: protocol[field] for field in fields}
            return ["--protocol", name, *(word for field, value in values.items()
                                          for word in (f"--{field.replace('_', '-')}", _number(value)))]
    raise UserError("its custom protocol must be one of its dataset's, changed by no more than "
                    + ", ".join(f"--{field.replace('_', '-')}" for field in BY_HAND))


def _expression(record: Record, *, explicit: bool) -> str:
    """Return the expression; in full where a paper's values would take the place of those that are not typed."""
    if not explicit:
        return str(record["expression"])
    from ltbench.method.hyperparameters import format_value

    stages = []
    for stage in record["stages"]:
        methods = []
        for method in stage["methods"]:
            options = ",".join(f"{name}={format_value(value)}" for name, value in sorted(method["hyperparameters"].items()))
            methods.append(f"{method['name']}({options})" if options else method["name"])
        stages.append("+".join(methods))
    return "/".join(stages)


def _number(value: Any) -> str:
    """Write a value so that reading it gives the same again, without a dot that says nothing."""
    return repr(value).removesuffix(".0") if isinstance(value, (int, float)) else str(value)
