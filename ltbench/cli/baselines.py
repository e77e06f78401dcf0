"""``ltbench baselines``: records that others made, to compare with and not to run again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.listing import show
from ltbench.errors import UserError
from ltbench.system.settings import cache_limit, cache_root, data_root

if TYPE_CHECKING:
    from ltbench.trust.pull import Pulled

_SHOWN = 5  # refused records that are named


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its actions."""
    parser = commands.add_parser("baselines", help="pull the records of a board to compare with",
                                 description="Pull records that others made, checked as they arrive; publish your own.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    ls = actions.add_parser("list", help="list what a source holds")
    ls.add_argument("--json", action="store_true", help="print JSON")
    ls.set_defaults(run=run_list)
    pull = actions.add_parser(
        "pull", help="put the records of a dataset into a folder",
        description="Put the records of a dataset into a folder. Each is checked as ltbench check does before it gets there; the "
                    "exit code is 1 if one is refused, and that one is left behind.")
    pull.add_argument("name", metavar="DATASET[@RATIO]", help="as ltbench baselines list shows it")
    pull.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="folder of the records (default: runs)")
    pull.add_argument("--data-root", metavar="DIR", help="folder of the data, to check splits against (also LTBENCH_DATA)")
    pull.add_argument("--stages", action="store_true", help="fetch the first stages too, where the source holds them")
    pull.add_argument("--cache", metavar="DIR", help="folder of the stage store (also LTBENCH_CACHE)")
    pull.set_defaults(run=run_pull)
    for action in (ls, pull):
        action.add_argument("--from", dest="source", metavar="SOURCE",
                            help="a folder, https://ADDRESS or hf://OWNER/REPO (default: what came with ltbench)")
        action.add_argument("--sha256", metavar="HEX", help="of the source's baselines.json, where it must be that one")
    manifest = actions.add_parser(
        "manifest", help="make a folder a source to pull from",
        description="Write baselines.json into a board or a folder of records: every record with size and sha256 of its files."
                    " Wherever the folder is then served as it is (GitHub Pages, the Hugging Face hub), it can be pulled from.")
    manifest.add_argument("folder", type=Path, metavar="FOLDER", help="a board, or a folder of records")
    manifest.add_argument("--stages", action="store_true", help="put the first stages that the store holds beside the records")
    manifest.add_argument("--cache", metavar="DIR", help="folder of the stage store (also LTBENCH_CACHE)")
    manifest.set_defaults(run=run_manifest)


def run_list(args: argparse.Namespace) -> int:
    """List datasets and protocols with their rows."""
    from ltbench.trust.manifest import ListedRecord, listed_name
    from ltbench.trust.origin import open_origin

    origin = open_origin(args.source, args.sha256)
    groups: dict[tuple[str, str], list[ListedRecord]] = {}
    for record in origin.manifest.records:
        groups.setdefault((listed_name(record), record.protocol), []).append(record)
    held = {stage.key for stage in origin.manifest.stages}
    return show([{"name": name, "protocol": protocol, "methods": len({record.expression for record in found}),
                  "records": len(found), "first stages": len(held & {record.stage1 for record in found}),
                  "megabytes": f"{sum(file.bytes for record in found for file in record.files) / 1e6:.1f}"}
                 for (name, protocol), found in sorted(groups.items())], as_json=args.json)


def run_pull(args: argparse.Namespace) -> int:
    """Pull, and say what came of it."""
    from ltbench.trust.ground import Ground
    from ltbench.trust.origin import open_origin
    from ltbench.trust.pull import pull, pull_stages, select

    origin = open_origin(args.source, args.sha256)
    chosen = select(origin.manifest, args.name)
    print(f"{len(chosen)} records of {args.name} from {origin.where}: fetched and checked one by one", file=sys.stderr)
    pulled = pull(origin, chosen, args.out, args.registry, Ground(args.registry, data_root(args.data_root)))
    _tell(pulled, args.out)
    if args.stages:
        from ltbench.training.store import StageStore

        new, lacking = pull_stages(origin, chosen, StageStore(cache_root(args.cache), cache_limit()))
        print(f"{new} first stages are new in the store" + (f"; the source holds none of {lacking} others" if lacking else ""))
    return 1 if pulled.refused else 0


def run_manifest(args: argparse.Namespace) -> int:
    """Write a folder's manifest."""
    from ltbench.leaderboard.board import RESULTS
    from ltbench.results.records import read_directory
    from ltbench.system.atomic import write_whole
    from ltbench.trust.manifest import NAME, describe

    folder: Path = args.folder
    if folder.resolve().name == RESULTS:
        raise UserError(f"FOLDER must be the board, whose records lie in its {RESULTS!r}, got {str(folder)!r}")
    stored, problems = read_directory(folder)
    if problems or not stored:
        raise UserError(problems[0] if problems else f"FOLDER must hold at least one record, got {str(folder)!r}")
    try:
        if args.stages:
            _put_stages(args, sorted({item.record.stages[0].key for item in stored}))
        manifest = describe(stored, folder)
        write_whole(folder / NAME, manifest.text().encode())
    except OSError as error:
        raise UserError(f"FOLDER must be one that can be written, got {str(folder)!r}: {error.strerror}") from None
    print(f"{folder / NAME}: {len(manifest.records)} records, {len(manifest.stages)} first stages")
    return 0


def _put_stages(args: argparse.Namespace, keys: list[str]) -> None:
    """Copy those first stages that the store holds; what is in the folder already stays."""
    import shutil

    from ltbench.training.store import ENGINE, META, StageStore
    from ltbench.trust.manifest import STAGES

    store, lacking = StageStore(cache_root(args.cache), cache_limit()), 0
    for key in keys:
        target = args.folder / STAGES / key
        if (target / META).is_file():
            continue
        if not store.has(key):
            lacking += 1
            continue
        target.mkdir(parents=True, exist_ok=True)
        for name in (ENGINE, META):
            shutil.copyfile(store.path(key) / name, target / name)
    if lacking:
        print(f"warning: the store does not hold {lacking} of {len(keys)} first stages", file=sys.stderr)


def _tell(pulled: Pulled, out: Path) -> None:
    for name, remarks in list(pulled.refused.items())[:_SHOWN]:
        print(next(remark for remark in remarks if remark.level == "error").line(Path(name)), file=sys.stderr)
    if len(pulled.refused) > _SHOWN:
        print(f"... and {len(pulled.refused) - _SHOWN} more are refused", file=sys.stderr)
    there = f", {len(pulled.known)} were there already" if pulled.known else ""
    print(f"{len(pulled.new)} records are new in {out} ({pulled.bytes / 1e6:.1f} MB){there}; {len(pulled.refused)} refused, "
          f"{pulled.remarks['warning']} warnings, {pulled.remarks['note']} notes")
