"""What several processes must agree on."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from ltbench.training.rounding import provide_bf16


def make_accelerator(precision: str = "no", *, cpu: bool) -> Accelerator:
    """Return an accelerator on whose processes each keeps its own buffers during an epoch.

    The usual broadcast of buffers at every forward pass would throw away what all processes but the first saw: their batch-norm
    statistics are averaged once an epoch instead, and methods change their own buffers equally everywhere.

    Args:
        precision: As accelerate names it: ``no``, ``bf16`` or ``fp16``.
    """
    # Accelerate keeps one state a process and refuses another precision than the first; each run names its own.
    AcceleratorState._reset_state(reset_partial_state=False)
    # The name that torch has had for it since 2.13 is unknown to the torch before.
    warnings.filterwarnings("ignore", message=".*broadcast_buffers.*", category=FutureWarning)
    keep_buffers = DistributedDataParallelKwargs(broadcast_buffers=False)
    # One process may wait for hours, for a stage that another job trains, while the others wait for it.
    patience = InitProcessGroupKwargs(timeout=timedelta(days=7))
    accelerator = Accelerator(mixed_precision=precision, cpu=cpu, kwargs_handlers=[keep_buffers, patience])
    if precision == "fp16" and accelerator.device.type == "cpu":  # accelerate would train in fp32 and say nothing
        raise ValueError("fp16 needs a GPU")
    if precision == "bf16" and accelerator.device.type == "cpu":
        provide_bf16()
    return accelerator


def release(accelerator: Accelerator) -> None:
    """Let go of what was prepared, so that a finished stage's optimizer does not outlive it.

    ``Accelerator.free_memory`` also walks the whole heap for garbage: 0.28 s, several times what a stage on digits takes.
    """
    for kept in (accelerator._models, accelerator._optimizers, accelerator._schedulers, accelerator._dataloaders):
        kept.clear()


class _Gather(torch.autograd.Function):
    """Join rows of all processes; the gradient of a row is the sum of what every process makes of it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, accelerator: Accelerator) -> Tensor:
        ctx.place = slice(accelerator.process_index * len(rows), (accelerator.process_index + 1) * len(rows))
        gathered: Tensor = accelerator.gather(rows.contiguous())
        return gathered

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)  # others may hold the same tensor
        dist.all_reduce(total)
        return total[ctx.place], None


def gather_rows(tensor: Tensor, accelerator: Accelerator) -> Tensor:
    """Join equally many rows of every process along the first dimension, in rank order.

    Where gradients are on they reach the process that a row is of, summed: a loss that every process computes from all rows has
    the right gradient once distributed training has averaged that of the parameters.
    """
    if accelerator.num_processes == 1:
        return tensor
    if tensor.requires_grad and torch.is_grad_enabled():
        joined: Tensor = _Gather.apply(tensor, accelerator)
        return joined
    gathered: Tensor = accelerator.gather(tensor.contiguous())
    return gathered


def interleave(parts: Tensor, total: int, accelerator: Accelerator) -> Tensor:
    """Put rows back in order where rank r computed rows r, r + world, r + 2 world, ...

    Returns:
        Shape (N, ...), on every process.
    """
    world = accelerator.num_processes
    if world == 1:
        return parts
    longest = -(-total // world)
    padded = torch.cat([parts, parts.new_zeros(longest - len(parts), *parts.shape[1:])])
    rows = gather_rows(padded, accelerator).view(world, longest, *parts.shape[1:])
    return rows.transpose(0, 1).reshape(world * longest, *parts.shape[1:])[:total]


def average_batch_norm(module: nn.Module, accelerator: Accelerator) -> None:
    """Average batch-norm statistics over the processes, each of which saw its own part of every batch."""
    if accelerator.num_processes == 1:
        return
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for statistic in (layer.running_mean, layer.running_var):
                if statistic is not None:
                    dist.all_reduce(statistic)
                    statistic /= accelerator.num_processes
