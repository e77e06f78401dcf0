"""``ltbench plugin new``: a complete small distribution to start from, or one around a file that is there."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltbench.cli.extend.scaffold.kinds import KINDS
from ltbench.errors import UserError

_USUAL = "loss"


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "new", help="write a plugin to start from",
        description="Write a complete distribution with one method, dataset or metric, its tests, a README and a workflow. It "
                    "passes its own tests as it is.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the method, dataset or metric, for example my_loss (with "
                        "--from: of the distribution; default: the method's, or the file's if it has several)")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--kind", choices=tuple(KINDS), help=f"what to start from (default: {_USUAL})")
    start.add_argument("--from", dest="file", type=Path, metavar="FILE", help="a file with methods that is taken as it is")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the folder is made (default: here)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write it, and say what comes next."""
    from ltbench.cli.extend.scaffold.naming import choose_names
    from ltbench.cli.extend.scaffold.write import write_files, write_plugin

    kind = KINDS[args.kind or _USUAL]
    if args.file is not None:
        from ltbench.cli.extend.scaffold.from_file import read_methods, render

        specs = read_methods(args.file)
        names = choose_names(args.name or (specs[0].name if len(specs) == 1 else args.file.stem), kind, args.registry)
        folder = args.out / names.distribution
        written = write_files(folder, render(args.file, specs, names, args.registry.base_method))
    elif args.name is None:
        raise UserError("NAME must be given, or a file of your own with --from")
    else:
        names = choose_names(args.name, kind, args.registry)
        folder = args.out / names.distribution
        written = write_plugin(folder, args.kind or _USUAL, kind, names, args.registry.base_method)
    for path in sorted(written):
        print(folder / path)
    after = "every record has its figures" if kind.noun == "metric" else f"`ltbench {kind.noun}s` lists it"
    print(f"\nltbench plugin check {folder}   # as it is, without installing it\npip install -e {folder}   # then {after}")
    return 0
