"""The TOML files that stand beside boards."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ltbench.errors import UserError


def read_toml(file: Path) -> dict[str, Any] | None:
    """Return a file's content; None where there is no such file, for a board of one's own needs none.

    Raises:
        UserError: If it cannot be read, naming it.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{str(file)!r} cannot be read: {error}") from None
