"""``ltbench data get``: download a dataset, or say step by step how a person gets it."""

from __future__ import annotations

import argparse
import json

from ltbench.cli.data import add_common_options
from ltbench.system.settings import cache_root, data_root


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser("get", help="download a dataset, or say how to get it",
                                description="Download a dataset where that needs nobody's consent; else say step by step how a "
                                            "person gets it.")
    parser.add_argument("name", metavar="NAME", help="of the dataset")
    add_common_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Download or explain."""
    from ltbench.data.inspection.obtaining import DOWNLOAD, EMBEDDED, fetch, instructions
    from ltbench.data.naming import open_dataset

    spec = args.registry.dataset(args.name.partition("@")[0])[0].spec
    source = spec.source
    root = data_root(args.data_root)
    dataset, _ = open_dataset(args.name, args.registry, root=root, download=source == DOWNLOAD)
    images: dict[str, int] = {}
    if spec.is_family and source != DOWNLOAD:
        lines = [f"{dataset.name} is your own: there is nothing to get"]
    elif source == EMBEDDED:
        lines = [f"{dataset.name} comes with ltbench or its libraries: there is nothing to get"]
    elif source == DOWNLOAD:
        images = fetch(dataset, root)
        counted = ", ".join(f"{part} {count:,}" for part, count in images.items())
        lines = [f"{dataset.name} is here ({counted} images)" if spec.is_family else
                 f"{dataset.name} is in {str(cache_root() / 'data' if root is None else root)!r} ({counted} images)",
                 f"next: ltbench data check {dataset.name}"]
    else:
        lines = [f"{dataset.name} may not be downloaded without a person who accepts its terms.", *instructions(dataset, root)]
    if args.json:
        print(json.dumps({"dataset": dataset.name, "source": source, "images": images, "lines": lines}, indent=1))
    else:
        print("\n".join(lines))
    return 0
