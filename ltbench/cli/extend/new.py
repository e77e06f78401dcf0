"""``ltbench plugin new``: a complete small distribution to start from."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltbench.cli.extend.scaffold.kinds import KINDS


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "new", help="write a plugin to start from",
        description="Write a complete distribution with one method, dataset or metric, its tests, a README and a workflow. It "
                    "passes its own tests as it is.")
    parser.add_argument("name", metavar="NAME", help="of the method, dataset or metric, for example my_loss")
    parser.add_argument("--kind", choices=tuple(KINDS), default="loss", help="what to start from (default: loss)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the folder is made (default: here)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write it, and say what comes next."""
    from ltbench.cli.extend.scaffold.naming import choose_names
    from ltbench.cli.extend.scaffold.write import write_plugin

    kind = KINDS[args.kind]
    names = choose_names(args.name, kind, args.registry)
    folder = args.out / names.distribution
    for path in sorted(write_plugin(folder, args.kind, kind, names, args.registry.base_method)):
        print(folder / path)
    after = "every record has its figures" if kind.noun == "metric" else f"`ltbench {kind.noun}s` lists it"
    print(f"\nltbench plugin check {folder}   # as it is, without installing it\npip install -e {folder}   # then {after}")
    return 0
