"""What a check says."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_LIBRARIES = frozenset({"__main__", "ltbench", "accelerate", "numpy", "pluggy", "timm", "torch", "torchvision"})


class Failure(Exception):
    """Report that what is checked does not do what it must."""


class Skipped(Exception):
    """Report that a check cannot be made here, with the reason."""


@dataclass(frozen=True)
class Result:
    """Hold what one check found of one method, dataset or metric.

    Args:
        message: What is wrong, why it was skipped, or what is worth knowing; empty if nothing is.
        mend: How others came to pass the check; empty if it did not fail.
    """

    name: str
    check: str
    state: Literal["ok", "failed", "skipped"] = "ok"
    message: str = ""
    mend: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong as far as could be seen."""
        return self.state != "failed"

    def __str__(self) -> str:
        if self.ok:
            return f"{self.name}: {self.check}: {self.state}"
        return f"{self.name}: {self.check}: {self.message}\n  how to mend it: {self.mend}"


def attempt(name: str, check: str, mend: str, run: Callable[[], str | None]) -> Result:
    """Make one check; whatever a stranger's code does, the other checks go on.

    Args:
        run: Raises if it does not pass; returns what is worth knowing, if anything is.
    """
    try:
        return Result(name, check, message=run() or "")
    except Skipped as reason:
        return Result(name, check, "skipped", str(reason))
    except Exception as error:
        return Result(name, check, "failed", brief(error), mend)


def brief(error: BaseException) -> str:
    """Return an error as one line: the kit's own as it is, others with their type and the line of the plugin that led to them."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, Failure) else f"{type(error).__name__}: {text}".rstrip(": ") + _place(error)


def _place(error: BaseException) -> str:
    """Return the innermost line that is neither ours nor a library's, which is where its author looks."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if root not in _LIBRARIES and root not in sys.stdlib_module_names:
            place = f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return place
