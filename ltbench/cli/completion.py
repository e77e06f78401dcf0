"""``ltbench completion``: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any

from ltbench.errors import UserError

SHELLS = ("bash", "zsh", "fish")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "completion", help="print what a shell needs to complete commands and names",
        description="Print a script for a shell's start-up file. For bash: eval \"$(ltbench completion bash)\"; for zsh the same "
                    "with zsh; for fish: ltbench completion fish | source.")
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(_argcomplete().shellcode(["ltbench"], shell=args.shell))
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks, and end the process; names come from the registry, which imports no method."""
    _argcomplete().autocomplete(parser)


def listed(names: Callable[[argparse.Namespace], Iterable[str]], separators: str) -> Any:
    """Return what completes the last name of a list.

    Args:
        names: Gives those that there are, from what was parsed so far.
        separators: Signs between names.
    """
    def completer(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
        begun = re.split(f"[{re.escape(separators)}]", prefix)[-1] if separators else prefix
        before = prefix[:len(prefix) - len(begun)]
        return [before + name for name in names(parsed_args) if name.startswith(begun)]

    return completer


def _argcomplete() -> Any:
    try:
        import argcomplete
    except ImportError:
        raise UserError("completion needs argcomplete: pip install 'ltbench[completion]'") from None
    return argcomplete
