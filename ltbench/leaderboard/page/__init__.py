"""A board as one HTML file that opens offline: Jinja2 writes it, its scripts sort the table and draw the figures as SVG.

Everything that comes from records is data. The template escapes it, the scripts set it as text, and the page's policy lets no
script run but the one that stands in it, and nothing be fetched from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ltbench.leaderboard.tables import Heading

_STYLES = ("base.css", "board.css", "figures.css")
# In the order of use: what a file defines at its top, later ones may call.
_SCRIPTS = ("theme.js", "base.js", "address.js", "table.js", "picks.js", "plot.js", "labels.js", "scatter.js", "lines.js",
            "fates.js", "matrix.js", "details.js", "save.js", "main.js")
# What would end a script element early, or a line where JSON was taken for JavaScript.
_JSON_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def render_page(content: Mapping[str, Any], headings: Sequence[Heading]) -> str:
    """Write a board as one HTML file: the same content gives the same bytes.

    Args:
        content: As ``board.json`` holds it.
    """
    from ltbench.leaderboard.page.view import view

    shown = view(content, headings)
    scripts = _SCRIPTS if shown["tables"] else _SCRIPTS[:1]  # without a table there is nothing to sort and to draw
    return _render("board.html.jinja", _STYLES, scripts, board=shown, data=embed([table["data"] for table in shown["tables"]]))


def render_index(contents: Sequence[Mapping[str, Any]]) -> str:
    """Write the page over all boards, which links to each one's.

    Args:
        contents: Of each board, as ``board.json`` holds it.
    """
    from ltbench.leaderboard.page.overview import overview

    return _render("overview.html.jinja", ("base.css", "overview.css"), ("theme.js",), boards=overview(contents))


def embed(value: Any) -> str:
    """Write JSON that may stand in a script element, whatever its texts hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.translate(_JSON_ESCAPES)


def _render(template: str, styles: Sequence[str], names: Sequence[str], **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    style = "\n".join(_resource(f"style/{name}") for name in styles)
    scripts = ["(() => {\n'use strict';\n" + "\n".join(_resource(f"script/{name}") for name in names) + "})();\n"]
    environment = Environment(loader=PackageLoader(__name__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template(template).render(style=style, scripts=scripts, policy=_policy(style, scripts), **values)


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Allow the page its own style and scripts, by their hashes, and nothing else."""
    allowed = " ".join(_source(script) for script in scripts)
    # A figure becomes a PNG by way of an image of its own drawing.
    return (f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; img-src data:; base-uri 'none'; "
            "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _resource(name: str) -> str:
    """Read a file of this package, with the line ends that the page has wherever it was checked out."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")
