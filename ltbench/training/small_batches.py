"""Batches that a network with batch norm cannot be trained on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ltbench.errors import UserError


@contextmanager
def refused_in_our_words(images: int) -> Iterator[None]:
    """Say what a user can do where a norm layer would take the variance of a single value.

    Whether it would is for the layer to say: a single image will do as long as its map is larger than 1 x 1.

    Args:
        images: Of this process, in this step.

    Raises:
        UserError: In the place of torch's error.
    """
    try:
        yield
    except Exception as error:  # a compiler wraps it
        if "Expected more than 1 " not in str(error):
            raise
        raise UserError(f"a norm layer must see at least 2 values a channel, got 1 from a batch of {images} "
                        f"image{'s' if images > 1 else ''} a process: raise --batch-size or --image-size, or lower --accumulate"
                        ) from error
