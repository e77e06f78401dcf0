"""A board as one HTML file that opens offline: Jinja2 writes it, Pico gives it its style, Chart.js draws its figures.

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

_STYLES = ("vendor/pico.min.css", "style.css")
_LIBRARIES = ("vendor/chart.umd.min.js",)
# In the order of use: what a file defines at its top, later ones may call.
_SCRIPTS = ("base.js", "table.js", "chart.js", "curve.js", "scatter.js", "matrix.js", "details.js", "main.js")
# What would end a script element early, or a line where JSON was taken for JavaScript.
_JSON_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def render_page(content: Mapping[str, Any], headings: Sequence[Heading]) -> str:
    """Write a board as one HTML file: the same content gives the same bytes.

    Args:
        content: As ``board.json`` holds it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from ltbench.leaderboard.page.view import view

    shown = view(content, headings)
    style = "\n".join(_resource(name) for name in _STYLES)
    scripts = [_without_map(_resource(name)) for name in _LIBRARIES]
    scripts.append("(() => {\n'use strict';\n" + "\n".join(_resource(f"script/{name}") for name in _SCRIPTS) + "})();\n")
    environment = Environment(loader=PackageLoader(__name__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template("index.html.jinja").render(
        board=shown,
        data=embed([table["data"] for table in shown["tables"]]),
        style=style,
        scripts=scripts,
        policy=_policy(style, scripts),
    )


def embed(value: Any) -> str:
    """Write JSON that may stand in a script element, whatever its texts hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.translate(_JSON_ESCAPES)


def _policy(style: str, scripts: list[str]) -> str:
    """Allow the page its own style and scripts, by their hashes, and nothing else."""
    allowed = " ".join(_source(script) for script in scripts)
    # Pico's arrows and check marks are images within its style sheet.
    return (f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; img-src data:; base-uri 'none'; "
            "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _resource(name: str) -> str:
    """Read a file of this package, with the line ends that the page has wherever it was checked out."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _without_map(script: str) -> str:
    """Leave out the line by which a debugger would look for a file that is not there."""
    return "\n".join(line for line in script.splitlines() if not line.startswith("//# sourceMappingURL="))
