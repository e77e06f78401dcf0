"""The folder of a new board: what is compared, what to do next, and what git and GitHub Pages leave alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ltbench.errors import UserError
from ltbench.leaderboard.board import FILE, RESULTS
from ltbench.leaderboard.publish import END, START
from ltbench.planning.experiment import Experiment
from ltbench.planning.experiment_text import to_toml

README = """# {title}

What is compared, and on which terms, stands in [{file}]({file}). It was written before the runs; every row below follows from the
records in `{results}/`. In this folder:

```sh
ltbench run --board .          # runs what has no record yet; killed anywhere, it goes on
ltbench check .                # recomputes every figure from the predictions
ltbench leaderboard .          # writes the tables below, and index.html: a page for any browser
ltbench leaderboard . --check  # fails if a file is not as its records say
```

{start}{end}
"""


def new_board(folder: Path, experiment: Experiment, plugins: Sequence[Path] = ()) -> list[Path]:
    """Write the files of a board that nothing has run for.

    Args:
        experiment: With a title and a tolerance.
        plugins: Files with methods, which are copied along.

    Returns:
        The files.

    Raises:
        UserError: If the folder is there and is not empty, or cannot be written, or two files have one name.
    """
    assert experiment.title is not None
    if len({file.name for file in plugins}) < len(plugins):
        raise UserError(f"--plugin must name files of different names, got {', '.join(map(str, plugins))}")
    files = {
        FILE: to_toml(experiment),
        "README.md": README.format(title=experiment.title, file=FILE, results=RESULTS, start=START, end=END),
        ".gitignore": ".leases/\n",  # beside records that are being made
        ".nojekyll": "",  # GitHub Pages serves the files as they are
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"FOLDER must be new or empty, got {str(folder)!r}")
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        copied = [Path(shutil.copy(file, folder)) for file in plugins]
    except OSError as error:
        raise UserError(f"FOLDER must be one that can be written, got {str(folder)!r}: {error.strerror}") from None
    return [*(folder / name for name in files), *copied]
