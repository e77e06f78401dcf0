"""``ltbench data pack``: all images in a few tar files, for disks where small files are slow."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

from ltbench.system.settings import data_root


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = commands.add_parser("pack", help="write all images of a set into tar shards",
                                 description="Write all images of a set into tar shards, byte by byte, and an index beside "
                                             "them. A folder NAME.tars in the data folder, or in the set's own, is read in place "
                                             "of the images.")
    parser.add_argument("name", metavar="NAME", help="of the dataset")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write; its name ends with .tars")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data (also LTBENCH_DATA)")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the pack and say what it holds."""
    from ltbench.data.listed import FileDataset
    from ltbench.data.naming import open_dataset
    from ltbench.data.packed import ENDING
    from ltbench.data.packing import write_pack
    from ltbench.errors import UserError

    if args.out.suffix != ENDING:
        raise UserError(f"--out must end with {ENDING}, got {str(args.out)!r}")
    dataset, _ = open_dataset(args.name, args.registry, root=data_root(args.data_root))
    root = data_root(args.data_root)
    # The files themselves: an older pack of the set must not be packed again.
    parts = dataset.load_files(root) if isinstance(dataset, FileDataset) else dataset.load(root)
    start = time.perf_counter()
    shards = write_pack(args.out, dataset.name, parts, replace=args.force)
    counts = Counter[str]()
    for shard in shards:
        counts[shard.part] += len(shard.names)
    told = ", ".join(f"{count:,} of {part}" for part, count in counts.items())
    print(f"packed {counts.total():,} images ({told}) in {time.perf_counter() - start:.1f} s: {args.out}, {len(shards)} "
          f"shard{'s' if len(shards) > 1 else ''} of {sum(shard.bytes for shard in shards) / 1e6:,.1f} MB")
    if args.registry.dataset(args.name)[0].spec.is_family:  # others are found by the names of their sets
        print(f"next: ltbench run --dataset tar:{args.out}")
    return 0
