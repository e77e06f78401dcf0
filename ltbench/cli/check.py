"""``ltbench check``: whether records may be believed."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from ltbench.errors import UserError
from ltbench.system.settings import data_root


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Check records: schema, every figure against the predictions, split and labels against the dataset where it is "
             "present, settings against the protocol and the installed methods, and records against each other. Records are "
             "read as data and never run. The exit code is 1 if one is refused; warnings and notes leave it at 0.")
    parser = commands.add_parser("check", help="check whether records may be believed", description=about)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a record, a folder of records or a board")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data (also LTBENCH_DATA)")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one line for everything found, and a summary."""
    from ltbench.trust.folder import Problems, check_records, record_files
    from ltbench.trust.ground import Ground
    from ltbench.trust.remark import LEVELS

    files: dict[Path, Problems] = {}
    for path in args.paths:
        try:
            files |= record_files(path) if path.is_dir() else {path: []}
            path.lstat()
        except OSError as problem:
            raise UserError(f"PATH must be a record or a folder, got {path}: {problem.strerror}") from None
    found = check_records(files.items(), args.registry, Ground(args.registry, data_root(args.data_root)))
    if not found:
        raise UserError(f"PATH must hold at least one record, got {', '.join(map(str, args.paths))}")
    levels = Counter(remark.level for remarks in found.values() for remark in remarks)
    refused = sum(any(remark.level == LEVELS[0] for remark in remarks) for remarks in found.values())
    if args.json:
        print(json.dumps([{"file": str(path), "level": remark.level, "field": remark.field, "message": remark.message}
                          for path, remarks in found.items() for remark in remarks], indent=1))
    else:
        for path, remarks in found.items():
            for remark in remarks:
                print(remark.line(path))
        records = f"{len(found)} record{'s' if len(found) != 1 else ''}"
        print(f"{records}: {refused} refused, {levels['warning']} warnings, {levels['note']} notes")
    return 1 if refused else 0
