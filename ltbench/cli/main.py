"""The ``ltbench`` program: finds plugins, reads arguments, turns a user's mistake into one line and exit code 2."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ltbench.errors import UserError
from ltbench.method.from_file import open_registry
from ltbench.registry.discovery import Registry, is_strict
from ltbench.system.stopping import Stopped, stoppable
from ltbench.version import __version__


class Parser(argparse.ArgumentParser):
    """Refuse what was typed in one line, like every other mistake, and take no abbreviations."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "allow_abbrev": False})

    def parse_known_args(self, *arguments: Any, **named: Any) -> tuple[Any, list[str]]:
        """Refuse what a verb does not know itself: only its own parser can name the nearest option and the right help.

        What a verb reads has ``typed``, the names of those options that stand in the command, at their defaults or not.
        """
        known, rest = super().parse_known_args(*arguments, **named)
        if rest and self.get_default("run"):
            near = difflib.get_close_matches(rest[0].partition("=")[0], self._option_string_actions, n=1)
            self.error(f"unrecognized arguments: {' '.join(rest)}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if self.get_default("run"):
            blank = argparse.Namespace(**dict.fromkeys(action.dest for action in self._actions))
            super().parse_known_args(arguments[0], blank)
            known.typed = frozenset(name for name in vars(blank) if vars(blank)[name] is not None) - self._defaults.keys()
        return known, rest

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message} (see {self.prog} --help)")


def common_options() -> argparse.ArgumentParser:
    """Return the options that every verb takes."""
    options = Parser(add_help=False, prog="ltbench")
    options.add_argument("--no-plugin", action="append", default=[], metavar="NAME",
                         help="leave a plugin or a distribution out (also LTBENCH_DISABLE_PLUGINS)")
    options.add_argument("--plugin", action="append", default=[], type=Path, metavar="FILE",
                         help="take in a Python file outside any package: its hooks, or its methods (repeatable)")
    options.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options.add_argument("-q", "--quiet", dest="log", action="store_const", const="warning",
                         help="say nothing while runs go on but what goes wrong (also LTBENCH_LOG=warning)")
    options.add_argument("-v", "--verbose", dest="log", action="store_const", const="debug",
                         help="say every epoch, and what was found in the store (also LTBENCH_LOG=debug)")
    return options


def build_parser(registry: Registry) -> argparse.ArgumentParser:
    """Return the parser with the verbs that the plugins contribute.

    Args:
        registry: Already loaded; verbs find it as ``args.registry``.
    """
    parser = Parser(prog="ltbench", parents=[common_options()],
                                     description="Benchmark methods for long-tailed recognition under equal terms.")
    parser.add_argument("--version", action="version", version=f"ltbench {__version__}")
    parser.set_defaults(registry=registry)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    registry.add_commands(commands)
    if is_strict():
        registry.require_sound()
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name; None for the process's own.

    Returns:
        0 for success, 1 if something that was run failed, 2 for a user's mistake, 130 for an interrupt, 128 + N for signal N.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does it: a file's name need not be text, and a terminal may lack a sign of it; neither is worth a traceback.
        sys.stdout.reconfigure(errors="backslashreplace")
    return guarded(lambda: _command(argv), debug="--debug" in argv)


def _command(argv: list[str]) -> int:
    early, rest = common_options().parse_known_args(argv)
    if early.log:
        os.environ["LTBENCH_LOG"] = early.log  # for the processes that this one starts, too
    registry = open_registry(early.no_plugin, early.plugin)
    parser = build_parser(registry)
    if "_ARGCOMPLETE" in os.environ:
        from ltbench.cli.completion import complete

        complete(parser)
    if not rest:
        parser.print_help()
        return 0
    args = parser.parse_args(rest)
    args.debug = early.debug  # verbs would find their own parser's, which has nothing left to read
    status: int = args.run(args)
    return status


def guarded(command: Callable[[], int], *, debug: bool = False) -> int:
    """Run something for a user: a mistake, an interrupt or a signal that ends it is one line and an exit code.

    Args:
        command: Returns its exit code.
        debug: Whether to show the traceback of a mistake.

    Returns:
        See :func:`main`.
    """
    try:
        with stoppable():
            return command()
    except UserError as error:
        if debug:
            traceback.print_exc()
        if os.environ.get("LOCAL_RANK", "0") == "0":  # several processes of one machine refuse one thing once
            print(f"ltbench: {error}", file=sys.stderr)
        return 2
    except Stopped as stop:
        print(f"ltbench: stopped by {stop}; the same command goes on where this one stopped", file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        print("ltbench: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe went away: nothing to report
        return 0


if __name__ == "__main__":
    sys.exit(main())
