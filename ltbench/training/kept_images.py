"""Embeddings of test images under weights that others trained: computed once, kept, and the core's alone."""

from __future__ import annotations

from collections.abc import Callable

from accelerate import Accelerator
from torch import Tensor, nn

from ltbench.data.task_data import TaskData
from ltbench.method.context import Bank
from ltbench.training.features import BankMaker, Shown
from ltbench.training.store import StageStore


class KeptTestImages:
    """Give banks of a task's test images, for evaluation: nothing that a method is handed leads here.

    Args:
        key: Of the folder in the store.
    """

    def __init__(self, data: TaskData, accelerator: Accelerator, store: StageStore, key: str) -> None:
        self._data, self._device = data, accelerator.device
        self._maker = BankMaker(data, accelerator, store, key)

    def read(self, backbone: nn.Module, view: str, prepare: Callable[[Tensor, Tensor], Tensor], precision: str = "fp32") -> Bank:
        """Return the embeddings of all test images, in their order.

        Args:
            view: A name for what is seen of an image.
            prepare: What makes that of pixels and positions, see :class:`ltbench.training.features.Shown`.
            precision: Of the backbone; each has a bank of its own, and so has each kind of device: last bits differ.
        """
        part, indices = self._data.parts.test, self._data.test_indices
        return self._maker.stored(backbone, Shown(part, indices, part.labels[indices], prepare, precision=precision),
                                  f"test-{view}-{precision}-{self._device.type}")
