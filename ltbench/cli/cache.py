"""``ltbench cache``: look at the store of finished stages, and make room."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ltbench.cli.listing import show
from ltbench.system.settings import cache_limit, cache_root, parse_size

if TYPE_CHECKING:
    from ltbench.system.holder import Holder
    from ltbench.training.store import Entry


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser("cache", help="list or prune the store of finished stages",
                                 description="List or prune the store of finished stages (LTBENCH_CACHE, LTBENCH_CACHE_LIMIT).")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    ls = actions.add_parser("ls", help="list what is stored")
    ls.add_argument("--json", action="store_true", help="print JSON")
    ls.set_defaults(run=run_ls)
    prune = actions.add_parser("prune", help="remove the least recently used stages")
    prune.add_argument("--to", metavar="SIZE", help="size that may stay, for example 5G or 0 (default: LTBENCH_CACHE_LIMIT, 20G)")
    prune.set_defaults(run=run_prune)
    for action in (ls, prune):
        action.add_argument("--cache", metavar="DIR", help="the cache folder")


def run_ls(args: argparse.Namespace) -> int:
    """List stored stages, the least recently used first."""
    from ltbench.training.store import StageStore

    store = StageStore(cache_root(args.cache), cache_limit())
    holders = store.holders()
    rows = [{"key": entry.key if args.json else entry.key[:12], "what": _what(entry, holders.get(entry.key)),
             "megabytes": f"{entry.size / 1e6:.1f}", "used": time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)),
             "held": _held(holders.get(entry.key))}
            for entry in store.entries()]
    return show(rows, as_json=args.json)


def run_prune(args: argparse.Namespace) -> int:
    """Remove stages until the rest fits."""
    from ltbench.training.store import StageStore

    limit = parse_size(args.to) if args.to is not None else cache_limit()
    store = StageStore(cache_root(args.cache), limit)
    store.tidy()
    removed = store.prune(limit)
    print(f"removed {len(removed)} stages, {sum(entry.size for entry in removed) / 1e6:.1f} MB")
    return 0


def _what(entry: Entry, holder: Holder | None) -> str:
    """Say what is stored, or what is being made: only its maker knows what an unfinished stage will be."""
    if entry.meta:
        return str(entry.meta["what"])
    return f"unfinished: {holder.owner.what}" if holder and holder.owner.what else "unfinished"


def _held(holder: Holder | None) -> str | None:
    if holder is None:
        return None
    return f"stale: {holder}" if holder.dead else str(holder)
