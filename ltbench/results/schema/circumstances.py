"""How long a run took and on what: nothing that another run need repeat."""

from __future__ import annotations

from pydantic import Field

from ltbench.results.schema.constraints import Amount, Boolean, Count, Text
from ltbench.results.schema.part import Part


class Timing(Part):
    """How long a run took, and how much memory; its own circumstances, which no other run need repeat."""

    seconds: dict[str, Amount | None]
    """Phase -> seconds; a stage says how long its training took, wherever that was."""
    peak_memory_bytes: dict[str, Count | None]
    """Phase -> the process's largest memory in bytes until the phase's end, and that of the whole ``process``; on a GPU also the
    device's, during the phase (``stage 1 on the device``) and at most (``device``)."""
    reused: dict[str, Boolean] = Field(default_factory=dict)
    """Stage -> whether its result was found rather than trained by this run."""


class Environment(Part):
    """What the run ran on, without saying whose machine it was."""

    world_size: Count | None = None
    """Number of processes."""
    accumulation: Count | None = None
    """Parts that each process split its share of a global batch into."""
    batch_per_device: Count | None = None
    """Images in one such part."""
    evaluation: Text | None = None
    """Precision of the evaluation; absent where it was fp32 of old."""
    compiled: Boolean | None = None
    """Whether training steps were compiled."""
    sync_batch_norm: Boolean | None = None
    """Whether batch norm looked at the images of all processes."""
    device: Text | None = None
    """Name of the accelerator, or ``cpu``."""
    cuda: Text | None = None
    """Version of CUDA; null without."""
    processor: Text | None = None
    """Kind of processor."""
    cores: Count | None = None
    """Number of its cores."""
    threads: Count | None = None
    """CPU threads of each process."""
    system: Text | None = None
    """Operating system."""
    python: Text | None = None
    """Version of Python."""
    libraries: dict[str, Text | None] = Field(default_factory=dict)
    """Library -> version."""
