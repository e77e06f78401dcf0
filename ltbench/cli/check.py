"""``ltbench check``: whether records may be believed."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.errors import UserError
from ltbench.system.settings import data_root

if TYPE_CHECKING:
    from ltbench.trust.finding import Finding


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
    from ltbench.trust.finding import LEVELS
    from ltbench.trust.folder import check_records, record_files
    from ltbench.trust.ground import Ground

    files: dict[Path, list[Finding]] = {}
    for path in args.paths:
        try:
            files |= record_files(path) if path.is_dir() else {path: []}
            path.lstat()
        except OSError as problem:
            raise UserError(f"PATH must be a record or a folder, got {path}: {problem.strerror}") from None
    if not files:
        raise UserError(f"PATH must hold at least one record, got {', '.join(map(str, args.paths))}")
    found = check_records(list(files.items()), args.registry, Ground(args.registry, data_root(args.data_root)))
    levels = Counter(finding.level for findings in found.values() for finding in findings)
    refused = sum(any(finding.level == LEVELS[0] for finding in findings) for findings in found.values())
    if args.json:
        print(json.dumps([{"file": str(path), "level": finding.level, "field": finding.field, "message": finding.message}
                          for path, findings in found.items() for finding in findings], indent=1))
    else:
        for path, findings in found.items():
            for finding in findings:
                print(finding.line(path))
        records = f"{len(found)} record{'s' if len(found) != 1 else ''}"
        print(f"{records}: {refused} refused, {levels['warning']} warnings, {levels['note']} notes")
    return 1 if refused else 0
