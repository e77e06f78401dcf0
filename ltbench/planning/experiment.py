"""An experiment told in one file: TOML, of which every ``[[matrix]]`` becomes one :class:`~ltbench.planning.request.Request`.

Its keys are the options of ``ltbench run``. A ``board.toml`` is such a file with a title and a tolerance. What a machine has to
do with it (its data, its cores, its cluster) is no part of an experiment and stays on the command line.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from ltbench.errors import UserError
from ltbench.planning.request import (
    BY_HAND,
    IMBALANCES,
    KEEP,
    LOGITS,
    PRECISIONS,
    UNREADABLE,
    How,
    Request,
    Terms,
    What,
    parse_keep,
    parse_splits,
)
from ltbench.terms.protocol import OPTIMIZERS, SCHEDULES, TUNES
from ltbench.terms.shots import USUAL
from ltbench.terms.task import TRACKS


@dataclass(frozen=True)
class _OneOf:
    """Have pydantic, and editors, take one of some texts."""

    choices: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.choices))


Text: TypeAlias = Annotated[str, Field(min_length=1, pattern=r"\S")]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
Whole: TypeAlias = Annotated[int, Field(gt=0)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Scalar: TypeAlias = bool | int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True, frozen=True)


class Matrix(_Part):
    """Runs on one set of terms: every method on every dataset with every seed."""

    methods: Annotated[list[Text], Field(min_length=1)]
    """Expressions: `A+B` joins methods in a stage, `A/B` makes stages, `A(option=value)` sets an option; `all`: every method."""
    datasets: Annotated[list[Text], Field(min_length=1)]
    """Names, each perhaps with `@ratio`; your own images as `folder:PATH`, `list:FILE` or `tar:PATTERN`."""
    seeds: Annotated[list[Seed], Field(min_length=1)]
    """Of initialization and order."""
    split_seeds: Annotated[list[Seed], Field(min_length=1)] = [0]
    """Of the long-tailed subset."""
    imbalance_ratio: Annotated[float | None, Field(ge=1, allow_inf_nan=False)] = None
    """Of every dataset that is named without `@ratio`."""
    imbalance: Annotated[str, _OneOf(IMBALANCES)] = "exp"
    """Shape of the class counts."""
    set: dict[str, dict[str, Scalar | list[Scalar]]] = {}
    """Options of methods wherever they stand: `set.METHOD.OPTION = VALUE`."""
    protocol: Text | None = None
    """`smoke`, `quick`, `common` or another one of the dataset's; `quick` where nothing is said. Not in the paper track."""
    track: Annotated[str, _OneOf(TRACKS)] = "common"
    """Equal terms, or each paper's own settings."""
    paper: Text | None = None
    """In the paper track, the method on whose paper's terms every expression is run."""
    splits: Annotated[list[Whole], Field(min_length=2, max_length=2)] = list(USUAL)
    """Where many, medium and few part: many is above the first, few below the second."""
    precision: Annotated[str, _OneOf(PRECISIONS)] = "fp32"
    """Of the training's arithmetic."""
    test_noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Standard deviation of Gaussian noise on test images, in units of a normalized pixel."""
    measure_every: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Fraction of an epoch after which methods measure too."""
    hold_out: bool = False
    """Train without the images that tuning would hold out, and measure on them."""
    init: Text | None = None
    """A file with weights that the backbone starts from, or `timm` for its own."""
    tune: Annotated[str, _OneOf(TUNES)] | None = None
    """With `init`: what of the backbone is trained."""
    epochs: Whole | None = None
    """By hand; like all that change a protocol by hand, it makes the protocol custom, which no board ranks."""
    batch_size: Whole | None = None
    """By hand: the global batch."""
    lr: Positive | None = None
    """By hand: the peak learning rate."""
    weight_decay: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    """By hand: of the optimizer."""
    optimizer: Annotated[str, _OneOf(tuple(OPTIMIZERS))] | None = None
    """By hand."""
    schedule: Annotated[str, _OneOf(tuple(SCHEDULES))] | None = None
    """By hand: of the learning rate."""
    backbone: Text | None = None
    """By hand, for example `resnet32x2` or `timm:resnet18`."""
    image_size: Whole | None = None
    """By hand: to which image files are decoded."""
    layer_decay: Annotated[float | None, Field(gt=0, le=1)] = None
    """By hand: what each layer of the backbone has of the learning rate of the layer above it."""
    stage1: Text | None = None
    """A file with a first stage of your own."""
    weights: Text | None = None
    """A file with the weights of a frozen `timm:` backbone in place of a first stage, or `timm` for its own."""
    unreadable: Annotated[str, _OneOf(UNREADABLE)] = "stop"
    """Whether images that cannot be decoded end their run, or are left out and counted."""
    accumulate: Whole = 1
    """Parts that a global batch is cut into, to save memory."""
    sync_batch_norm: bool = False
    """Batch norm over all processes' images."""
    compile: bool = False
    """Compile training steps."""
    keep: Annotated[str, _OneOf((*KEEP, LOGITS, *(f"{kept},{LOGITS}" for kept in KEEP)))] = "statistics"
    """What is kept beside a record: for `ltbench analyze`, and perhaps the logits."""


class Experiment(_Part):
    """An experiment of ltbench, for `ltbench run --config FILE`; a board's `board.toml` is one, too."""

    title: Text | None = None
    """A board's heading."""
    tolerance: Annotated[float | None, Field(gt=0, le=100)] = None
    """Of a board: points within which a difference from a printed figure counts as reproduced, set before the runs."""
    out: Text | None = None
    """Folder of the records, seen from where the command is typed; `runs` where nothing is said. A board has its own."""
    plugin: list[Text] = []
    """Python files with methods or hooks, outside any package."""
    matrix: Annotated[list[Matrix], Field(min_length=1)]
    """What is run, a `[[matrix]]` for each set of terms."""


# Of a matrix: what is run and on which terms. The rest is how, and may be typed beside a board.
HOW = frozenset({"unreadable", "accumulate", "sync_batch_norm", "compile", "keep"})
TERMS = frozenset(Matrix.model_fields) - HOW


def read_experiment(file: Path) -> Experiment:
    """Read an experiment's file.

    Raises:
        UserError: If it cannot be read or is none: one line with the file, the key and what it must be.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}") from None
    return checked(content, repr(str(file)))


def checked(content: Mapping[str, Any], where: str) -> Experiment:
    """Return the experiment that some content tells.

    Args:
        where: What it is called in messages.

    Raises:
        UserError: For the first thing that is not as it must be.
    """
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        # A typo is what explains a key that is missing.
        first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
        raise UserError(_line(first, where)) from None


def requests_of(experiment: Experiment, where: str, how: How | None = None) -> list[Request]:
    """Return what is asked for, a request for each matrix.

    Args:
        where: What the experiment is called in messages.
        how: What the machine has to do with it, and the folder of the records where the experiment names none.

    Raises:
        UserError: For values that no run can have together.
    """
    how, found = how or How(), []
    for number, one in enumerate(experiment.matrix, start=1):
        by_hand = {name: value for name in BY_HAND if (value := getattr(one, name)) is not None}
        keep, logits = parse_keep(one.keep)
        try:
            found.append(Request(
                What(tuple(one.methods), tuple(one.datasets), one.imbalance_ratio, one.imbalance, tuple(one.seeds),
                     tuple(one.split_seeds), one.set),
                Terms(one.protocol, one.track, one.paper, by_hand, one.test_noise, one.precision, one.measure_every,
                      one.hold_out, one.init, one.tune, parse_splits(one.splits)),
                replace(how, out=how.out if experiment.out is None else Path(experiment.out), unreadable=one.unreadable,
                        stage1=None if one.stage1 is None else Path(one.stage1), weights=one.weights, accumulation=one.accumulate,
                        sync_batch_norm=one.sync_batch_norm, compiles=one.compile, keep=keep,
                        logits=logits),
                tuple(Path(name) for name in experiment.plugin)))
        except UserError as error:
            raise UserError(f"matrix {number} of {where}: {error}") from None
    return found


def with_changes(experiment: Experiment, changes: Mapping[str, Any], where: str) -> Experiment:
    """Return an experiment with some keys replaced, those of a matrix in every one.

    Raises:
        UserError: See :func:`checked`.
    """
    content = experiment.model_dump(exclude_unset=True)
    matrix = {name: value for name, value in changes.items() if name in Matrix.model_fields}
    above = {name: value for name, value in changes.items() if name not in matrix}
    return checked({**content, **above, "matrix": [{**one, **matrix} for one in content["matrix"]]}, where)


_WORDS = {"model_type": "a table", "model_attributes_type": "a table", "dict_type": "a table", "string_type": "a text",
          "int_type": "a whole number", "float_type": "a number", "bool_type": "true or false", "list_type": "a list",
          "finite_number": "a finite number", "string_too_short": "a text that is not empty",
          "string_pattern_mismatch": "a text that is not empty"}
_BOUNDS = {"greater_than": (">", "gt"), "greater_than_equal": (">=", "ge"), "less_than": ("<", "lt"),
           "less_than_equal": ("<=", "le")}


def _line(error: ErrorDetails, where: str) -> str:
    """Put an error of pydantic into one line with the key, the file and what is meant."""
    place, kind, value = list(error["loc"]), error["type"], error["input"]
    fields = Experiment.model_fields
    if place[0] == "matrix" and len(place) > 1:
        fields, where, place = Matrix.model_fields, f"matrix {int(place[1]) + 1} of {where}", place[2:]
    key = str(place[0]) if place else ""
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        return f"unknown key {key!r} in {where}{hint} Known: {', '.join(fields)}"
    if kind == "missing":
        return f"{where} must hold {key!r}" + ("" if key != "matrix" else ", as at least one [[matrix]]")
    if key == "set":
        return f"set of {where} must be values by method and option, such as set.la.tau = 0.5, got {error['input']!r}"
    if kind == "literal_error":
        words = f"one of {error['ctx']['expected']}".replace("'", "").replace(" or ", ", ")
    elif kind in _BOUNDS:
        sign, name = _BOUNDS[kind]
        words = f"{sign} {error['ctx'][name]:g}"
    elif kind in ("too_short", "too_long"):
        words = "a list of two" if key == "splits" else "a list that is not empty"
    else:
        words = _WORDS.get(kind, error["msg"])
    inner = "".join(f"[{part}]" for part in place[1:] if isinstance(part, int))
    return f"{key}{inner} of {where} must be {words}, got {value!r}" if key else f"{where} must be {words}, got {value!r}"

