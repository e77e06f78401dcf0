"""What the processes of one command with ``--jobs`` know of each other's runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.planning.plan import RunPlan

_TRIES = 2  # of a run that ends its process
_GIVEN_UP = f"its process ended {_TRIES} times before it did: out of memory, or killed from outside"
_REFUSED = ".refused"


class Ledger:
    """Note in a folder which runs the processes of one command begin and end, so that they make none twice."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, plan: RunPlan) -> str | None:
        """Note that this process, which holds the lease of a run, begins it; return why not, where it must be given up."""
        with (self._folder / plan.file_name).open("a+") as file:
            file.seek(0)
            if len(file.read().split()) >= _TRIES:
                return _GIVEN_UP
            file.write("begun\n")
        return None

    def end(self, plan: RunPlan) -> None:
        """Note that the record of a run has been written, however the run ended."""
        with (self._folder / plan.file_name).open("a") as file:
            file.write("ended\n")

    def ended(self, plan: RunPlan) -> bool:
        """Tell whether a process of this command has made a run."""
        file = self._folder / plan.file_name
        return file.is_file() and file.read_text().endswith("ended\n")

    def refuse(self, message: str) -> None:
        """Note a mistake of the user's: it ends all processes, and is told once."""
        (self._folder / _REFUSED).write_text(message)

    @property
    def refused(self) -> str | None:
        """What a process refused; None for nothing."""
        file = self._folder / _REFUSED
        return file.read_text() if file.is_file() else None

    @property
    def size(self) -> int:
        """Bytes that were noted so far."""
        return sum(file.stat().st_size for file in self._folder.iterdir())
