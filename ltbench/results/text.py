"""Text from records that anybody may have written, made safe for a terminal, markdown, LaTeX and a spreadsheet."""

from __future__ import annotations

import re

_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"\\{sign}" for sign in "\\|[]`*"}
_LATEX = {"|": r"\textbar{}", "±": r"$\pm$", "—": "---"}


def printable(text: str) -> str:
    """Replace line breaks and control characters by spaces: a name must not move a terminal's cursor or end a table's row."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def escape_markdown(text: str) -> str:
    """Escape what GitHub's markdown would read as a cell's end, HTML, a link, code or emphasis.

    Underscores stay: within a word, as method names have them, they mean nothing.
    """
    return "".join(_MARKDOWN.get(sign, sign) for sign in text)


def finish_latex(table: str) -> str:
    """Write ±, the em dash and the bar as LaTeX does: tabulate escapes the other characters that mean something there.

    Args:
        table: As tabulate wrote it, without rules between the columns.
    """
    return "".join(_LATEX.get(sign, sign) for sign in table)


def escape_spreadsheet(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula."""
    return f"'{text}" if re.match(r"[=+\-@\t\r]", text) else text
