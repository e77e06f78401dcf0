from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.testing.scene import Scene, installed


@pytest.mark.parametrize(("text", "width"), [("ce", 64), ("ride", 144), ("ride/crt", 144)])  # three experts of 3/4 of 64
def test_the_embedding_is_as_wide_as_the_stack_makes_it(text: str, width: int, tmp_path: Path) -> None:
    engine, _, _ = Scene(installed()).build(text, tmp_path)
    assert engine.ctx.embedding_dim == width
