"""What a check is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """Hold one check.

    Args:
        run: Raises if what it is given does not pass; may return what is worth knowing.
    """

    run: Callable[[Any], str | None]
    mend: str

    @property
    def about(self) -> str:
        """What it does, in one line."""
        return (self.run.__doc__ or "").strip().partition("\n")[0].removesuffix(".")
