# %% [markdown]
# # A method of your own, in a notebook
# Every block between two lines of `# %%` is a cell: Jupyter (with jupytext), VS Code and others open this file as a notebook.

# %%
"""Compare a loss that is written here with two that are installed, on eight-pixel digits; it takes some seconds."""

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

import ltbench

# %% [markdown]
# A method is a class. It may stand in a cell of its own, and needs nothing else to be run: its text is hashed, so that a change
# of it is trained anew. What it uses must be imported, not typed: otherwise put it into a file.


# %%
class SmoothedLoss(ltbench.Method):
    """Spread part of each target over all classes.

    Args:
        smoothing: How much.
    """

    name = "smoothed"
    stages = frozenset({1, 2})

    def __init__(self, facts: ltbench.Facts, *,
                 smoothing: Annotated[float, ltbench.Interval(ge=0, lt=1), ltbench.Uniform(0.0, 0.5)] = 0.1) -> None:
        super().__init__(facts)
        self.smoothing = smoothing

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample, shape (B,)."""
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.smoothing)


# %%
result = ltbench.run(methods=["ce", SmoothedLoss, "smoothed+drw/crt"], dataset="digits-lt", seeds=[0, 1], protocol="smoke",
                     out="notebook-runs")

# %%
table = result.table()
table[["method", "accuracy.all", "accuracy.all_low", "accuracy.all_high", "accuracy.few", "completed"]]

# %% [markdown]
# Records hold everything: the curve of a run, for example.

# %%
first = result.records[0]
losses = [row.loss for row in first.curve]
